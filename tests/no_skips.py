"""Where everything that the tests need is meant to be there (XRBENCH_NO_SKIPS=1, as CI sets it), a skipped test is a failed one.

A file that is left out as a whole, since a library is missing, counts as well. Tests that are expected to fail are not meant.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

VARIABLE = "XRBENCH_NO_SKIPS"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a skipped test into that of a failed one."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _forbidden():
        report.outcome, report.longrepr = "failed", _said(report.longrepr)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the report of a file that was left out into that of one that cannot be read."""
    report = yield
    if report.outcome == "skipped" and _forbidden():
        report.outcome, report.longrepr = "failed", _said(report.longrepr)
    return report


def _forbidden() -> bool:
    return os.environ.get(VARIABLE) == "1"


def _said(skipped: object) -> str:
    reason = skipped[2] if isinstance(skipped, tuple) else skipped
    return f"{reason} ({VARIABLE}=1: nothing may be skipped here)"
