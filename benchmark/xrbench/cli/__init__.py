"""The command line: read words, call one function, print its answer.

Exit codes: 0 fine; 1 the thing asked about is not so (regression, missing data, failed cells); 2 inconclusive, or nothing to
do it on; 3 input or usage is wrong; 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from xrbench import __version__
from xrbench.errors import XrbenchError

USAGE = 3
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="xrbench")
def group() -> None:
    """Measure whether a medical-image classifier holds up on another hospital's images.

    \b
    A first run, on synthetic images:   xrbench run --suite ood-cxr
    What there is:                      xrbench list suites
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code; a user's mistake is one line on standard error."""
    sys.exit(invoke(list(sys.argv[1:] if arguments is None else arguments)))


def invoke(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    _register()
    try:
        result = group.main(args=arguments, prog_name="xrbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _fail(_usage(error), USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), USAGE)
    except XrbenchError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; what was done is kept, the same command goes on from there", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        return _fail(_system(error), USAGE)
    except Exception as error:
        if "--verbose" in arguments or os.environ.get("XRBENCH_TRACEBACK"):
            raise
        return _fail(
            f"unexpected {type(error).__name__}: {error}; --verbose shows where (this is a fault in xrbench)", USAGE
        )


def _register() -> None:
    """Add the commands of each room; they import what they need when they are called."""
    from xrbench.cli.data import data
    from xrbench.cli.judge import COMMANDS as JUDGING
    from xrbench.cli.registry import COMMANDS as LISTING
    from xrbench.cli.work import COMMANDS as WORKING

    for command in (*LISTING, *WORKING, *JUDGING, data):
        group.add_command(command)


def _fail(message: str, code: int) -> int:
    prefix = "" if code == INTERRUPTED else "error: "
    click.echo(f"{prefix}{message}", err=True)
    return code


def _usage(error: click.UsageError) -> str:
    message = error.format_message()
    hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
    return f"{message.rstrip('.')}{hint}"


def _system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{place}the disk is full; what was done is kept, make room and give the same command again"
    return f"{place}{(error.strerror or str(error)).lower()}"
