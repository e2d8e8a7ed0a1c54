"""Commands on a suite and its data: ``plan`` and ``run``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xrbench.cli import options
from xrbench.config import processors
from xrbench.progress import Reporter, reporter

if TYPE_CHECKING:
    from xrbench.config import Setting
    from xrbench.runs.bound_plan import BoundPlan

PLANNED = options.many(
    options.suite,
    options.profile,
    options.data_root,
    options.out,
    options.only,
    options.seed,
    options.precision,
    options.allow_missing,
    options.skip_unreadable,
    options.catalogue,
)


@click.command("plan", short_help="Say what a run would do, and what is done.")
@options.many(PLANNED, options.cache, options.as_json, options.quiet, options.verbose)
def plan(as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Say what a run would train and measure, what is done already and which data are missing.

    \b
    Example:  xrbench plan --suite ood-cxr
    """
    from xrbench.runs.plan_summary import summarise

    say = reporter(quiet=quiet or as_json, verbose=verbose)
    chosen = options.settings(out=given["out"], cache=given["cache"])
    bound = bind(given, chosen, say, planning=True)
    summary = summarise(
        bound,
        out=_path(chosen["out"].value),
        cache=chosen["cache"].value,
        skip_unreadable=given["skip_unreadable"],
    )
    if as_json:
        options.echo_json(summary.to_dict())
    else:
        click.echo("\n".join(summary.lines()))


@click.command("run", short_help="Train, test and judge a suite.")
@options.many(
    PLANNED,
    options.cache,
    options.device,
    options.jobs,
    options.executor,
    options.quiet,
    options.verbose,
)
def run(quiet: bool, verbose: bool, **given: Any) -> int:
    """Train, test and judge a suite; the same command goes on where it stopped.

    \b
    Example:  xrbench run --suite ood-cxr --only method=balanced-batching,seed=0 --out runs
    """
    from xrbench import api, explain
    from xrbench.errors import MeasureError
    from xrbench.report.pages.publish import publish
    from xrbench.runs.runner import Options, command_line

    say = reporter(quiet=quiet, verbose=verbose)
    chosen = options.settings(**{name: given[name] for name in ("out", "device", "jobs", "cache")})
    _use_weights(chosen["weights"])
    cache = chosen["cache"].value
    how = Options(
        out=_path(chosen["out"].value),
        cache=_path(cache) if cache else None,
        device=chosen["device"].value,
        jobs=chosen["jobs"].value,
        skip_unreadable=given["skip_unreadable"],
        command=command_line(),
        executor=given["executor"] or "",
    )
    bound = bind(given, chosen, say, planning=False)
    result = api.run(bound, options=how, reporter=say)
    try:
        api.score(result, reporter=say)
        api.analyse(result, reporter=say)
        explain.explain_for_suite(
            result.folder,
            bound,
            bound.catalogue,
            cache=how.cache,
            device=how.device,
            jobs=how.jobs or processors(),
            reporter=say,
        )
        click.echo(publish(result.folder, bound.catalogue, reporter=say).summary())
    except MeasureError:
        if not result.failed:
            raise
    for name, reason in result.failed.items():
        click.echo(f"failed: {name}: {reason}", err=True)
    return 1 if result.failed else 0


def bind(given: dict[str, Any], chosen: dict[str, Setting], say: Reporter, *, planning: bool) -> BoundPlan:
    """Find the suite and bind its plan to the data.

    Args:
        given: Options of the command.
        chosen: Settings, resolved.
        say: Where progress goes.
        planning: Whether missing data are only reported.
    """
    from xrbench import api
    from xrbench.config import file_of
    from xrbench.runs.store import Store

    Store(_path(chosen["out"].value))  # refuses a file before the data are read
    cards = options.open_catalogue(given["catalogues"])
    root, folders = options.folders(given["data_roots"], cards)
    suite = api.suite(
        given["suite"], profile=given["profile"], catalogues=[*file_of().catalogues, *given["catalogues"]]
    )
    return api.plan(
        suite,
        data_root=root,
        data=folders,
        only=given["only"],
        seeds=given["seeds"],
        precision=given.get("precision"),
        allow_missing=given["allow_missing"] or planning,
        out=_path(chosen["out"].value),
        reporter=say,
    )


def _use_weights(setting: Setting) -> None:
    """Pass the weights folder of ``xrbench.toml`` on by the variable that training reads."""
    if setting.value:
        os.environ["XRBENCH_WEIGHTS"] = str(_path(setting.value))


def _path(text: str) -> Path:
    return Path(text).expanduser()
