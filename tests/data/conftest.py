"""Where the real images are, for tests that use them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xrbench import cards
from xrbench.catalogue import shipped


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Find the folder of real images, or skip."""
    beside = Path(__file__).parents[2].parent / "shared" / "realdata"
    folder = Path(os.environ.get("XRBENCH_REALDATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder}; set XRBENCH_REALDATA")
    return folder


@pytest.fixture(scope="session")
def vocabulary() -> cards.Vocabulary:
    """Read the shared names of findings that come with xrbench."""
    return cards.read(shipped() / "registry" / "pathologies.toml", cards.Vocabulary)
