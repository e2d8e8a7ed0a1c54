from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCK = "left-pad==1.4.0 \\\n    --hash=sha256:00\nNumPy==2.1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n"
Event = dict[str, str]


def advisory(*events: Event, name: str = "left_pad", ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    package = {"name": name, "ecosystem": ecosystem}
    affected = {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}
    return {"id": "PYSEC-2026-1", "summary": "Pads too far", "affected": [affected], **more}


def audit(folder: Path, content: object) -> subprocess.CompletedProcess[str]:
    (folder / "lock").write_text(LOCK)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "advisories").mkdir()
    (folder / "advisories" / "one.json").write_text(text)
    script = str(Path(__file__).with_name("advisories.py"))
    command = [sys.executable, script, str(folder / "lock"), "--advisories", str(folder / "advisories")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


AFFECTED = [
    advisory({"introduced": "0"}, {"fixed": "1.4.1"}),
    advisory({"introduced": "1.4"}),
    advisory({"introduced": "0"}, {"last_affected": "1.4.0"}),
    advisory({"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.3rc1"}, {"fixed": "1.10"}),
    advisory({"fixed": "1.10"}, {"introduced": "1.3"}),
    advisory({"introduced": "2.1"}, name="numpy"),
]
NOT_AFFECTED = [
    advisory({"introduced": "0"}, {"fixed": "1.4"}),
    advisory({"introduced": "1.10"}),
    advisory({"introduced": "0"}, {"last_affected": "1.3.9"}),
    advisory({"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.4.1"}),
    advisory({"introduced": "0"}, name="left-pad-more"),
    advisory({"introduced": "0"}, ecosystem="npm"),
    advisory({"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
]


@pytest.mark.parametrize("content", AFFECTED)
def test_a_version_within_a_range_is_named_with_its_advisory(tmp_path: Path, content: dict[str, Any]) -> None:
    done = audit(tmp_path, content)
    assert done.returncode == 1
    assert "PYSEC-2026-1: Pads too far; " in done.stdout
    assert done.stdout.endswith("2 pinned versions, 1 advisories, 1 hits\n")


@pytest.mark.parametrize("content", NOT_AFFECTED)
def test_a_version_outside_is_not(tmp_path: Path, content: dict[str, Any]) -> None:
    done = audit(tmp_path, content)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith(" 0 hits\n")


def test_the_remedy_is_the_next_version_that_is_fixed(tmp_path: Path) -> None:
    content = advisory({"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.3"}, {"fixed": "1.10"})
    assert audit(tmp_path, [content]).stdout.startswith("left-pad 1.4.0: PYSEC-2026-1: Pads too far; fixed in 1.10\n")


def test_a_list_of_versions_counts_too(tmp_path: Path) -> None:
    content = advisory({"introduced": "9"})
    content["affected"][0]["versions"] = ["1.3", "1.4", "not-a-version"]
    assert audit(tmp_path, content).returncode == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "one.json: not JSON: "),
        ({"summary": "nameless"}, "one.json: expected advisories in the OSV format, each with an 'id'"),
        (
            {"id": "X-1", "affected": [{"ranges": []}]},
            "one.json: X-1: not in the OSV format: field 'package' is missing",
        ),
        (advisory({"introduced": "last week"}), "one.json: PYSEC-2026-1: not in the OSV format: Invalid version"),
    ],
)
def test_a_malformed_file_is_named_in_one_line(tmp_path: Path, content: object, said: str) -> None:
    done = audit(tmp_path, content)
    assert done.returncode == 3
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("advisories.py"))
    command = [sys.executable, script, str(ROOT / "requirements.lock"), "--advisories", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, f"{tmp_path}: no advisory (*.json) in it\n")
