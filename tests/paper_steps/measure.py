"""Measure one case in this process, whose peak memory is then that of the case: ``python -m tests.paper_steps.measure CASE``.

The training code is that of a run: ``Loop`` carries out whole steps of the optimiser on the recipe of the plan, ``validate`` evaluates
its network, and ``Predictor`` a model that is not trained. Weights are random, which changes neither time nor memory, and so are the
truths; images are drawn phantoms.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from tests.paper_steps.cases import Case, cases
from tests.paper_steps.machine import load, machine
from tests.paper_steps.records import Record
from xrbench import blocks
from xrbench.cards import Head, ModelCard, Recipe
from xrbench.catalogue import open_catalogue
from xrbench.data.fixture.hospitals import NIH
from xrbench.data.fixture.people import films
from xrbench.data.fixture.picture import picture
from xrbench.data.fixture.shapes import Textures
from xrbench.data.images.image_set import ImageSet
from xrbench.training.components import heads
from xrbench.training.fitting import devices
from xrbench.training.fitting.epoch_validation import validate
from xrbench.training.fitting.loop import Loop
from xrbench.training.fitting.usage import Usage
from xrbench.training.models import networks, weights
from xrbench.training.prediction.predict import Predictor

DRAWN = 4
"""Different phantoms; a batch repeats them, since a network takes the same time for any image."""
LONG = 5.0
"""Seconds of a call beside which its preparations do not count."""
LIBRARIES = ("timm", "torchvision", "torchxrayvision")


def measure(case: Case, *, device: str, repeats: int) -> Record:
    """Measure a case: the fastest of several steps and evaluation batches.

    On a machine that others use too, the least time says most of the case.

    Args:
        case: What to measure.
        device: ``cpu``, ``cuda`` ...
        repeats: Number of steps and of evaluation batches that are timed.
    """
    recipe, torch_device = case.recipe, devices.find(device)
    images = draw_images(case)
    _import_libraries(recipe.model)
    with devices.deterministic(torch_device, threads=recipe.threads):
        usage = Usage(torch_device)
        record = Record(
            suite=case.suite,
            profile=case.profile,
            model=case.model,
            method=case.method,
            device=torch_device.type,
            image_size=recipe.image_size,
            batch=recipe.batch_size,
            groups=0,
            accumulate=0,
            precision=recipe.precision,
            threads=torch.get_num_threads(),
            step_seconds=float("nan"),
            step_cpu_seconds=float("nan"),
            repeated_step_seconds=float("nan"),
            evaluation_seconds=float("nan"),
            evaluation_cpu_seconds=float("nan"),
            start_memory_mib=usage.peak_memory,
            peak_memory_mib=float("nan"),
            machine=machine(torch_device),
            load=load(),
        )
        if case.kind == "ensemble":
            # a mean of stored scores: no network runs
            return replace(record, start_memory_mib=float("nan"))
        timed = _trained if case.kind == "trained" else _pretrained
        return replace(timed(record, recipe, images, device, repeats), peak_memory_mib=usage.peak_memory)


def draw_images(case: Case) -> ImageSet:
    """Draw grey images in equal numbers for each training dataset, enough for a step of the optimiser without repeats."""
    recipe = case.recipe
    side, count = recipe.image_size, recipe.batch_size * max(recipe.method.accumulate, 2)
    drawn = _phantoms(side)
    grey = drawn[np.arange(count) % len(drawn), None]
    pixels = np.repeat(grey, case.channels, axis=1)
    total = count * len(case.train)
    truths = {head.name: _truth(total, *_outputs(head, recipe)) for head in heads.with_truth(recipe.method.learned)}
    return ImageSet(
        domains=case.train,
        pixels=(pixels,) * len(case.train),
        domain=np.repeat(np.arange(len(case.train)), count),
        row=np.tile(np.arange(count), len(case.train)),
        truth=_truth(total, len(recipe.labels), recipe.task == "multiclass"),
        patient=np.arange(total),
        targets=truths,
    )


def _phantoms(side: int) -> npt.NDArray[np.uint8]:
    """Draw phantoms at the size of the fixture and scale them, shape (DRAWN, side, side)."""
    textures = Textures.make("paper-steps")
    drawn = (picture(NIH, film, textures, "paper-steps").pixels for film in films(NIH, "paper-steps"))
    images = (Image.fromarray((pixels * 255).astype(np.uint8)) for pixels in itertools.islice(drawn, DRAWN))
    return np.stack([np.asarray(image.resize((side, side))) for image in images])


def _outputs(head: Head, recipe: Recipe) -> tuple[int, bool]:
    place = heads.columns(recipe)[head.name]
    return place.stop - place.start, heads.is_exclusive(head, recipe)


def _truth(count: int, outputs: int, exclusive: bool) -> npt.NDArray[np.float32]:
    """Make truth of 0 and 1, shape (count, outputs); with ``exclusive`` one 1 an image."""
    image, output = np.arange(count)[:, None], np.arange(outputs)
    positive: npt.NDArray[np.bool_] = image % outputs == output if exclusive else (image + output) % 2 == 0
    return positive.astype(np.float32)


def _import_libraries(model: ModelCard) -> None:
    """Import what the network is built with, whose memory is not the network's."""
    block, _ = blocks.split("network", model.network)
    if block in LIBRARIES:
        with warnings.catch_warnings():
            importlib.import_module(block)


def _trained(record: Record, recipe: Recipe, images: ImageSet, device: str, repeats: int) -> Record:
    """Time steps of the optimiser and evaluation batches."""
    one_step = msgspec.structs.replace(
        recipe,
        model=msgspec.structs.replace(recipe.model, weights="none"),
        steps_per_epoch=recipe.method.accumulate,
    )
    loop = Loop(one_step, images, device=devices.find(device))
    numbers = itertools.count()
    step = _least_seconds(lambda: loop.epoch(next(numbers)), repeats, device)
    batch = images.first(recipe.batch_size)
    evaluation = _least_seconds(lambda: validate(loop, batch, 0), repeats, device)
    return replace(
        record,
        groups=len(loop.plan(0)[0]),
        accumulate=recipe.method.accumulate,
        step_seconds=step[0],
        step_cpu_seconds=step[1],
        evaluation_seconds=evaluation[0],
        evaluation_cpu_seconds=evaluation[1],
    )


def _pretrained(record: Record, recipe: Recipe, images: ImageSet, device: str, repeats: int) -> Record:
    """Time evaluation batches of a model that is not trained."""
    with tempfile.TemporaryDirectory() as folder:
        # a file of random weights under the published name: resizing inside the model and the order of outputs are then the real ones
        bare = networks.build(msgspec.structs.replace(recipe.model, weights="none"), len(recipe.model.outputs), seed=0)
        torch.save(bare.state_dict(), Path(folder) / weights.published(recipe.model).file)
        del bare
        os.environ[weights.FOLDER] = folder
        predictor = Predictor(recipe, device=device)
    batch = images.first(recipe.batch_size)
    evaluation = _least_seconds(lambda: predictor(batch, batch_size=recipe.batch_size), repeats, device)
    return replace(record, evaluation_seconds=evaluation[0], evaluation_cpu_seconds=evaluation[1])


def _least_seconds(work: Callable[[], object], repeats: int, device: str) -> tuple[float, float]:
    """Return the least time on the clock and, on the CPU, of the processor.

    A first call shorter than ``LONG`` is not counted, since it also prepares what later ones find. Steps and evaluations end with
    results on the CPU, so a GPU has finished by then.
    """
    seconds: list[float] = []
    cpu_seconds: list[float] = []
    while len(seconds) < repeats or (len(seconds) == repeats and seconds[0] < LONG):
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    first = 0 if seconds[0] >= LONG else 1
    return min(seconds[first:]), min(cpu_seconds[first:]) if device == "cpu" else float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one case and print its record as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.paper_steps.measure")
    parser.add_argument("case", help="SUITE/PROFILE/MODEL/METHOD")
    parser.add_argument("--catalogue", action="append", default=[])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    case = next(case for case in cases(open_catalogue(options.catalogue)) if case.name == options.case)
    if options.threads:
        case = replace(case, recipe=msgspec.structs.replace(case.recipe, threads=options.threads))
    print(json.dumps(asdict(measure(case, device=options.device, repeats=options.repeats))))


if __name__ == "__main__":
    main()
