"""Errors of the supervisor: their texts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from supervisor import StartFailed

ENDLESS = "the process could not be ended: not permitted; process 7 may live on"


@pytest.mark.parametrize(
    ("known", "detail"),
    [
        (ENDLESS, ENDLESS),
        ("not ready within 1 s", "not ready within 1 s; no line was written"),
        (ENDLESS, f"{ENDLESS}; no line was written"),
        ("exit code 3", "something else"),
    ],
)
def test_a_failed_start_says_all_that_its_report_says_and_says_it_once(known, detail):
    """The report may know more than what the start was told."""
    failed = StartFailed(f"/root/a did not start: unstarted: {known}; life 1 goes on", _report(detail))
    said = detail if detail.startswith(known) else known
    assert f"/root/a did not start: unstarted: {said}; life 1 goes on" == str(failed)


def _report(detail):
    return SimpleNamespace(reason=SimpleNamespace(detail=detail))
