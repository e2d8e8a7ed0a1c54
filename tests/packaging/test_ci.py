"""What is checked before a commit and by the workflow is what the Makefile checks, with the project's own tools."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
HOOKS: dict[str, Any] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())


def recipe(target: str) -> list[str]:
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found, target
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in found[1].splitlines()]


def steps() -> list[dict[str, Any]]:
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_hooks_are_the_projects_own_tools_and_those_of_make_check() -> None:
    assert {repository["repo"] for repository in HOOKS["repos"]} == {"local"}
    hooks = [hook for repository in HOOKS["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    tools = [" ".join(word for word in hook["entry"].split() if not word.startswith("-")) for hook in hooks]
    checks = [line for line in recipe("check") if line.startswith(".venv/bin")]
    assert tools == [re.sub(r" (\.|--check \.)$", "", line) for line in checks]


def test_the_workflow_says_only_what_make_can_do() -> None:
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    text = "\n".join(step.get("run", "") for step in steps())
    named = set(re.findall(r"make ([\w-]+)", text))
    assert named == {"test", "lowest", "check-platforms", "wheel"}
    assert "COVERAGE=" in text
    assert "$(if $(COVERAGE)" in MAKEFILE
    assert named <= targets
    assert {step["uses"].split("@")[0] for step in steps() if "uses" in step} == {
        "actions/checkout",
        "actions/setup-python",
    }


def test_every_supported_version_is_tested_on_linux_and_the_ends_elsewhere() -> None:
    supported = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    jobs = WORKFLOW["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == supported
    assert PROJECT["requires-python"] == f">={supported[0]}"
    matrix = jobs["core"]["strategy"]["matrix"]
    assert matrix["python"] == [supported[0], supported[-1]]
    assert matrix["system"] == ["macos-latest", "windows-latest"]
    assert f"for version in {' '.join(supported[1:])};" in MAKEFILE


def test_the_installer_has_one_version() -> None:
    version = re.search(r"^UV_VERSION := (\S+)", MAKEFILE, re.MULTILINE)
    assert version
    assert f"uv=={version[1]}" in PROJECT["optional-dependencies"]["dev"]
    assert any(f"uv=={version[1]}" in step.get("run", "") for step in steps())


def test_what_the_cores_tests_leave_out_exists() -> None:
    lines = (ROOT / "tests" / "core_tests.txt").read_text().splitlines()
    ignored = [line.removeprefix("--ignore=") for line in lines if line.startswith("--ignore=")]
    assert ignored
    assert all((ROOT / name).is_dir() for name in ignored)
