"""The command line: each command reads its options, calls one function and prints the result.

Exit codes: 0 success; 1 a negative answer (regression, missing data, failed cells); 2 inconclusive, or nothing to compare;
3 wrong input or usage; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from xrbench.cli import options
from xrbench.errors import XrbenchError, disk_is_full
from xrbench.version import __version__

USAGE = 3
INTERRUPTED = 130
TRAINING = frozenset({"torch", "torchvision", "timm", "torchxrayvision", "pytorch_grad_cam"})
"""Libraries of the extra ``train``."""
KEPT = "what was done is kept, make room and give the same command again"
TRACEBACK = "XRBENCH_TRACEBACK"
"""Environment variable that, when set, has tracebacks printed as ``--verbose`` does."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, invoke_without_command=True
)
@click.version_option(__version__, prog_name="xrbench")
def group() -> None:
    """Measure whether a medical-image classifier holds up on another hospital's images.

    \b
    A first run, on synthetic images:   xrbench run --suite ood-cxr
    What there is:                      xrbench list suites
    """
    options.ask_for_command()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; a user's mistake is one line on standard error."""
    code = invoke(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    sys.exit(code)


def invoke(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    _register()
    try:
        result = group.main(args=arguments, prog_name="xrbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:
        _discard_output()
        return 0
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; what was done is kept, the same command goes on from there", INTERRUPTED)
    except Exception as error:
        if {"--verbose", "-v"} & set(arguments) or os.environ.get(TRACEBACK):
            click.echo(traceback.format_exc(), err=True)
        return _fail(*_describe(error))


def _discard_output() -> None:
    """Discard further output: the reader of the pipe has gone, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(error: Exception) -> tuple[str, int]:
    """Put an error into one line, and choose its exit code."""
    if isinstance(error, click.UsageError):
        return _usage(error), USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), USAGE
    if isinstance(error, XrbenchError):
        full = disk_is_full(error) and "what was done is kept" not in str(error)
        return (f"{error}; {KEPT}" if full else str(error)), error.exit_code
    if isinstance(error, OSError):
        return _system(error), USAGE
    if isinstance(error, ModuleNotFoundError) and error.name in TRAINING:
        return f'this needs {error.name}, which trains and is not installed: pip install "xrbench[train]"', USAGE
    name = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"unexpected {name}; {TRACEBACK}=1 shows where (this is a fault in xrbench)", USAGE


def _register() -> None:
    """Add the commands of each module; they import what they need when they are called."""
    from xrbench.cli.data import data
    from xrbench.cli.explain import explain
    from xrbench.cli.registry import list_things, show
    from xrbench.cli.results import compare, leaderboard, report, reproduce, score
    from xrbench.cli.work import plan, run

    commands = (list_things, show, plan, run, score, compare, report, reproduce, leaderboard, explain, data)
    for command in commands:
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
    if disk_is_full(error):
        return f"{place}the disk is full; {KEPT}"
    return f"{place}{(error.strerror or str(error)).lower()}"
