"""The command on saliency maps: ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xrbench.cli import options
from xrbench.config import processors
from xrbench.progress import reporter

PATH = click.Path(path_type=Path)


@click.command("explain", short_help="Show where in an image networks found their evidence.")
@click.argument("results", metavar="[RESULTS | SUITE]", type=PATH, required=False)
@click.option("--suite", metavar="NAME", help="The suite whose newest run below --out is meant.")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Label that is asked about (default: all).")
@click.option("--image", "named", multiple=True, metavar="ID", help="Image to explain, as ID or DATASET/ID.")
@click.option("--images", "listed", type=PATH, metavar="FILE", help="File with one image id a line.")
@click.option(
    "--count",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Without named images: so many of each label and test set, half correctly classified, half not.",
)
@click.option(
    "--target",
    default="",
    metavar="predicted | truth | LABEL",
    help="What is explained (default: the label asked about; the predicted class where classes exclude each other).",
)
@click.option(
    "--technique",
    default="gradcam",
    show_default=True,
    metavar="NAME",
    help="How: gradcam, gradcam++, hirescam, layercam, xgradcam.",
)
@click.option(
    "--layer", default="", metavar="NAME", help="Layer whose maps are weighed (default: the deepest with 7 x 7 cells)."
)
@click.option("--boxes", is_flag=True, help="Also measure all images that have a reader's box of the label against it.")
@click.option(
    "--tolerance",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0),
    metavar="PIXELS",
    help="How far outside of a box the highest point may lie.",
)
@click.option("--maps", is_flag=True, help="Keep the maps themselves as numbers (maps.npz).")
@click.option("--into", type=PATH, metavar="DIR", help="Where panels go (default: explained/ in the run folder).")
@options.many(
    options.only_cells,
    options.data_root,
    options.out,
    options.cache,
    options.device,
    options.jobs,
    options.catalogue,
    options.as_json,
    options.quiet,
    options.verbose,
)
def explain(
    results: Path | None,
    suite: str | None,
    into: Path | None,
    maps: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Show where in an image the networks of a run found their evidence, and whether it lies in readers' boxes.

    RESULTS is a run folder or an --out folder; the images must be where they were, or below --data-root.

    \b
    Example:  xrbench explain --suite ood-cxr --only test=padchest --label Effusion --count 2
    """
    from xrbench import explain as saliency
    from xrbench.cli.results import run_folder
    from xrbench.data.datasets.sources import DataRoots
    from xrbench.report.pages import explanations as drawing

    say = reporter(quiet=quiet or as_json, verbose=verbose)
    chosen = options.settings(**{name: given[name] for name in ("out", "device", "jobs", "cache")})
    cards = options.open_catalogue(given["catalogues"])
    folder = run_folder(results, suite, given["out"])
    cache = chosen["cache"].value
    explanations = saliency.explain(
        folder,
        cards,
        _question(given),
        roots=DataRoots(*options.folders(given["data_roots"], cards)),
        cache=Path(cache).expanduser() if cache else None,
        device=chosen["device"].value,
        jobs=chosen["jobs"].value or processors(),
        reporter=say,
    )
    target = into or folder / saliency.FOLDER
    saliency.clear(target)
    written = saliency.write(target, explanations, maps=maps, panels=drawing.panels(explanations, target))
    if as_json:
        options.echo_json(drawing.to_dict(explanations, written))
    else:
        click.echo(drawing.summary(explanations, target, written))


def _question(given: dict[str, Any]) -> Any:
    """Collect the options that say what is explained."""
    from xrbench.explain import Question, read_list

    listed = read_list(given["listed"]) if given["listed"] else ()
    return Question(
        images=(*given["named"], *listed),
        **{
            name: given[name]
            for name in ("labels", "count", "target", "technique", "layer", "only", "boxes", "tolerance")
        },
    )
