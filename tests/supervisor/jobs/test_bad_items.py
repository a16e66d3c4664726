"""A map over items of which some kill their process, hang or raise: one error each, nothing lost, nothing run twice."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from actors import ActorCrashed, AskTimeout, HandlerError, Jobs
from supervisor import ChildSpec, Intensity, Supervisor
from tests.support.jobs import Item, Report, work

pytestmark = pytest.mark.processes

LONG = bool(os.environ.get("ACTORS_LONG"))
ERRORS = {
    "segfault": (ActorCrashed, "SIGSEGV"),
    "exit": (ActorCrashed, "exit code 3"),
    "memory": (ActorCrashed, "SIGKILL"),
    "raise": (HandlerError, "is bad"),
    "hang": (AskTimeout, "ran longer than 1 s"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("size", "count", "bad"), [(2, 10_000, 200) if LONG else (2, 500, 20), (1, 200, 10)], ids=["pool", "one process"]
)
async def test_each_bad_item_is_one_error_and_harms_no_other(tmp_path, size, count, bad):
    log = tmp_path / "log"
    every, kinds = count // bad, list(ERRORS)
    items = [
        Item(number, kinds[number // every % len(kinds)] if number % every == every // 2 else "fine", str(log))
        for number in range(count)
    ]
    outcomes = []
    async with Supervisor(ChildSpec(Jobs, name="pool", size=size), intensity=Intensity(0)) as root:
        async for outcome in root["pool"].map(work, items, timeout=1.0, limit=64, return_exceptions=True):
            outcomes.append(outcome)
        assert root.snapshot().restarts == 0
    for item, outcome in zip(items, outcomes, strict=True):
        if item.deed == "fine":
            assert isinstance(outcome, Report)
            assert outcome.number == item.number
        else:
            kind, cause = ERRORS[item.deed]
            assert isinstance(outcome, kind)
            assert outcome.item == item
            assert cause in str(outcome)
            assert f"number={item.number}" in str(outcome)
    assert Counter(log.read_text().split()) == Counter(str(item.number) for item in items)
