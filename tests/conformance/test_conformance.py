"""The same scenarios on OTP's supervisor and on ours: the same starts, stops, give-ups and answers, in the same order.

What OTP does is kept in `otp.txt`, so that ours is compared everywhere; where Erlang is installed, it is asked again.
Record anew, after the table has changed:  ACTORS_RECORD=1 pytest tests/conformance
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
from pathlib import Path

import pytest

from tests.conformance import erlang
from tests.conformance.ours import Run, clock_restored
from tests.conformance.scenarios import SCENARIOS, Scenario

KEPT = Path(__file__).with_name("otp.txt")
DOCS = Path(__file__).parents[2] / "docs/explanation/semantics.md"
RECORD = os.environ.get("ACTORS_RECORD") == "1"
KINDS = ("actor", "task", "function", "command")
REAL = [each for each in SCENARIOS if each.processes]
BY_NAME = {each.name: each for each in SCENARIOS}

needs_erlang = pytest.mark.skipif(not erlang.installed(), reason="Erlang is not installed (Debian: erlang-base)")
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name.replace(" ", "-"))


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What OTP does now; the whole table in one run, for all workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    answer = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "otp.json"
    with answer.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            answer.write_text(json.dumps(erlang.run(SCENARIOS)))
    found: dict[str, list[str]] = json.loads(answer.read_text())
    found.pop("")
    if RECORD:
        stories = ["\n".join([f"# {name}", *rested(BY_NAME[name], lines)]) for name, lines in found.items()]
        KEPT.write_text("\n\n".join(stories) + "\n")
    return found


@functools.cache
def kept() -> dict[str, list[str]]:
    """What OTP did when it was recorded."""
    stories = KEPT.read_text().strip().split("\n\n")
    return {head.removeprefix("# "): lines for head, *lines in (story.splitlines() for story in stories)}


def rested(scenario: Scenario, lines: list[str]) -> list[str]:
    """Of a child that goes on failing for ever only the first failure; how often it fails depends on the machine."""
    restless = {f"fail {child.name}" for child in scenario.tree.children if getattr(child, "restless", False)}
    seen: set[str] = set()
    result = []
    for line in lines:
        if line not in seen:
            result.append(line)
        if line in restless:
            seen.add(line)
    return result


@needs_erlang
@pytest.mark.timeout(erlang.PATIENCE)
@every_scenario
def test_otp_does_what_is_kept(scenario: Scenario, asked: dict[str, list[str]]) -> None:
    """The record of OTP is what the OTP of this machine does."""
    now = asked[scenario.name]
    assert kept()[scenario.name] == rested(scenario, now)


@every_scenario
async def test_ours_does_what_otp_does(scenario: Scenario) -> None:
    """The same events in the same order, or those that the table says and why."""
    with clock_restored():
        ours = await Run(scenario).do()
    otp = kept()[scenario.name]
    expected = list(scenario.ours) if scenario.differs else otp
    assert expected == rested(scenario, ours)
    assert not scenario.differs or expected != otp, "it does not differ any more"


@pytest.mark.processes
@pytest.mark.parametrize("scenario", REAL, ids=lambda each: each.name.replace(" ", "-"))
async def test_ours_does_it_with_real_processes(scenario: Scenario, tmp_path: Path) -> None:
    """What holds for scripted lives holds for processes."""
    assert kept()[scenario.name] == await Run(scenario, tmp_path).do()


@pytest.mark.processes
@pytest.mark.parametrize("first", [0, 2], ids=lambda first: f"first-{KINDS[first]}")
@pytest.mark.parametrize("scenario", REAL, ids=lambda each: each.name.replace(" ", "-"))
async def test_ours_does_it_with_children_of_all_kinds(scenario: Scenario, first: int, tmp_path: Path) -> None:
    """The same rules for actors, tasks, functions and commands in one tree. A task cannot be killed: it crashes."""
    run = Run(scenario, tmp_path, KINDS[first:] + KINDS[:first])
    ours = await run.do()
    tasks = {f"exit {name} killed": f"exit {name} crashed" for name, kind in run.kind_of.items() if kind == "task"}
    assert [tasks.get(line, line) for line in kept()[scenario.name]] == ours


def test_every_scenario_has_a_name_of_its_own() -> None:
    """And the record holds no other."""
    assert len(SCENARIOS) == len(BY_NAME)
    assert set(BY_NAME) == set(kept())


def test_every_difference_is_in_the_docs() -> None:
    """A reader finds each difference to OTP, with its reason, where the semantics are."""
    text = " ".join(DOCS.read_text().partition("## Where this differs from OTP")[2].split())
    assert [] == [each.differs for each in SCENARIOS if each.differs and each.differs not in text]
