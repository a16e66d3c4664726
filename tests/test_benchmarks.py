"""Benchmarks: every contender does every workload, whatever goes wrong is told, and the page follows the results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.__main__ import replaced, write
from benchmarks.charts import charts
from benchmarks.measure import ENTRANTS, OURS, OURS_LOOP, OURS_UVLOOP, RAW_PIPE, Entrant, Plan, count_for, measure
from benchmarks.numbers import digits, plain
from benchmarks.processes import carrying, marked
from benchmarks.report import ahead, excuses, group_table, page, pooled, short, targets
from benchmarks.results import Results, Run, load, save
from benchmarks.session import ROOT, ContenderFailed, Session
from benchmarks.targets import TARGETS, Target, holds, judge
from benchmarks.workloads import FIGURES, Workload, workloads
from tests.support.long import LONG
from tests.support.waiting import DEADLINE, until_now

DOCS = Path(__file__).parents[1] / "docs"
PUPPET = "tests.support.contender"
NEVER = {"array", "kill_cold", "between_ask", "between_tell"}  # what only actors do
WITHOUT = {
    "raw pipe": {"kill", "kill_cold"},
    "mp.Queue pair": {"kill", *NEVER},
    "run_in_executor(queue.get)": {"kill", *NEVER},
    "ProcessPoolExecutor": NEVER,
}


def tiny(workload):
    """The arguments of a workload that ask for as little as it can do."""
    sizes = {name: min(2, value) for name, value in workload.arguments.items() if name in ("size", "mib")}
    return {
        **workload.arguments,
        **sizes,
        **({"count": 64} if workload.first > 1 else {"count": 1} if workload.first else {}),
    }


def asked_of(entrant):
    """All workloads; a few of the forms of ours that share their code with the first."""
    chosen = workloads(idle=0.05)
    return chosen if LONG or entrant.name not in (OURS_LOOP, OURS_UVLOOP) else chosen[:5]


@pytest.mark.processes
@pytest.mark.parametrize("entrant", ENTRANTS, ids=lambda entrant: entrant.name)
def test_every_contender_does_every_workload(entrant):
    """Each figure is there and above nothing, but for what a contender has no way to do."""
    without = set()
    with Session(entrant.module, *entrant.options) as session:
        assert "Python" in session.versions
        done = {}
        for workload in asked_of(entrant):
            known = workload.do, tuple(tiny(workload).items())
            answer = done[known] = done.get(known) or session.do(workload.do, tiny(workload), 30.0)
            if "absent" in answer:
                without.add(workload.do)
            else:
                assert set(workload.figures) <= answer["figures"].keys()
                assert all(answer["figures"][name] >= 0 for name in workload.figures), answer
    assert WITHOUT.get(entrant.name, set()) == without


def test_workloads_name_known_figures():
    """Every figure is measured by exactly one workload."""
    measured = [key for workload in workloads(idle=1.0) for key in workload.figures.values()]
    assert sorted(FIGURES) == sorted(measured)


@pytest.mark.processes
def test_pinned():
    """A pinned contender has one core."""
    with Session(ENTRANTS[0].module, "--pin") as session:
        assert {1} == {len(os.sched_getaffinity(pid)) for pid in marked(session.mark)}


@pytest.mark.processes
def test_a_session_answers():
    """Figures, a refusal and a failure are told apart; what a contender prints does not disturb."""
    with Session(PUPPET) as session:
        assert {"puppet": "1"} == session.versions
        assert {"figures": {"rate": 3}} == session.do("answer", {"count": 3}, 30.0)
        assert {"absent": "it has no hands"} == session.do("refuse", {}, 30.0)
        assert {"failed": "ValueError: no"} == session.do("fail", {}, 30.0)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("way", "patience", "said"),
    [("crash", 30.0, "it ended: the last words"), ("hang", 0.2, "no answer within 0.2 s")],
)
def test_a_session_survives(way, patience, said):
    """A contender that crashes or hangs is killed, and the reason is told."""
    with Session(PUPPET) as session:
        with pytest.raises(ContenderFailed, match=said):
            session.do(way, {}, patience)
        assert set() == marked(session.mark)


@pytest.mark.processes
def test_a_contender_that_does_not_begin():
    """The reason is the last line it said."""
    with pytest.raises(ContenderFailed, match="it ended: ModuleNotFoundError: No module named 'no_such_contender'"):
        Session("no_such_contender")


@pytest.mark.processes
def test_nothing_is_left_of_a_session():
    """What a contender started is killed with it, also when it has left its group."""
    with Session(PUPPET) as session:
        pid = session.do("leave_behind", {}, 30.0)["figures"]["pid"]
        assert pid in marked(session.mark)
    assert set() == marked(session.mark)


@pytest.mark.processes
@pytest.mark.parametrize("restless", [False, True])
def test_measure(restless):
    """Every entrant does every workload as often as planned; who cannot says why, and the others go on."""
    plan = Plan(
        repetitions=2,
        rare=1,
        seconds=0.001,
        workloads=(
            Workload("answer", {"rate": "flight"}, first=1),
            Workload("refuse", {"rate": "tell"}),
            Workload("hang", {"rate": "send_8"}, patience=0.2),
            Workload("answer", {"rate": "fan_4"}, {"count": 5}, rare=True),
        ),
    )
    told, kept = [], []
    run = measure(
        [
            Entrant("puppet", PUPPET, restless=restless),
            Entrant("nobody", "no_such_contender"),
            Entrant("slow", PUPPET, restless=restless, slow=True),
        ],
        plan,
        told.append,
        lambda run: kept.append(run.repetitions),
    )
    assert ["puppet", "nobody", "slow"] == run.contenders
    assert {"puppet": {"puppet": "1"}, "slow": {"puppet": "1"}} == run.versions
    assert {"flight": {"puppet": [1, 1], "slow": [1]}, "fan_4": {"puppet": [5], "slow": [5]}} == run.samples
    assert [(1, 0)] * 4 + [(1, 1)] + [(2, 1)] * 5 == kept
    begin = "did not begin: it ended: ModuleNotFoundError: No module named 'no_such_contender'"
    assert run.absent == {
        "flight": {"nobody": begin},
        "tell": {"puppet": "it has no hands", "nobody": begin, "slow": "it has no hands"},
        "send_8": {"puppet": "no answer within 0.2 s", "nobody": begin, "slow": "no answer within 0.2 s"},
        "fan_4": {"nobody": begin},
    }
    assert 7 == len(told)


@pytest.mark.processes
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"])
def test_the_command_can_be_interrupted(number, code):
    """Whatever it started is gone when it is, and nothing was written."""
    written = (DOCS / "benchmarks.md").stat().st_mtime_ns
    mark = f"TEST_OF_BENCHMARKS={os.getpid()}{code}"
    command = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--only", "mp."],
        cwd=ROOT,
        env={**os.environ, **dict([mark.split("=")])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until_now(lambda: len(carrying(mark)) >= 5, "the start of two contenders")
    command.send_signal(number)
    assert code == command.wait(DEADLINE)
    assert set() == carrying(mark)
    assert written == (DOCS / "benchmarks.md").stat().st_mtime_ns


def test_counts():
    """As many as fit into the time, and never fewer than the least."""
    assert 500 == count_for(5000.0, 0.1, 100)
    assert 100 == count_for(5.0, 0.1, 100)


# ---- results


def canned(**samples):
    """A run of the pipe, ours and one peer."""
    return Run(
        date="2030-01-02 03:04 UTC",
        machine=["a machine", "2 cores"],
        repetitions=(3, 1),
        contenders=[RAW_PIPE, OURS, "peer"],
        versions={RAW_PIPE: {"Python": "3.11"}, OURS: {"msgspec": "1"}},
        samples=samples,
    )


ASKS = {RAW_PIPE: [10.0, 20.0, 12.0], OURS: [24.0, 30.0, 18.0], "peer": [20.0, 20.0, 20.0]}
RATES = {RAW_PIPE: [100.0], OURS: [150.0], "peer": [90.0]}


def test_results_are_kept(tmp_path):
    """What is saved is loaded again, with five digits; no file is no results."""
    path = tmp_path / "deep" / "results.json"
    assert Results() == load(path)
    save(path, Results(bench=[canned(flight={OURS: [1234567.0]})]))
    assert Results(bench=[canned(flight={OURS: [1234600.0]})]) == load(path)


def test_each_command_keeps_the_others_results():
    """The figures of the peers stay when ours are measured anew, and the other way round."""
    old, new = canned(flight=RATES), canned(tell=RATES)
    assert Results(bench=[new], peers=[old]) == replaced(Results(bench=[old], peers=[old]), [new], peers=False)
    assert Results(bench=[old], peers=[new]) == replaced(Results(bench=[old], peers=[old]), [new], peers=True)


def test_pooled():
    """Several runs are one with more repetitions."""
    run = pooled([canned(flight=RATES), canned(flight=RATES)])
    assert {RAW_PIPE: [100.0, 100.0], OURS: [150.0, 150.0], "peer": [90.0, 90.0]} == run.samples["flight"]
    assert (6, 2) == run.repetitions


# ---- targets

RATIO = Target("ratio", ("ask_p50", OURS), "at most", 2.0, over=("ask_p50", RAW_PIPE))
RATE = Target("rate", ("flight", OURS), "at least", 151.0, unit="per second")


def test_holds():
    """The bound itself holds, on either side."""
    assert [True, True, False] == [holds(RATIO, each) for each in (1.9, 2.0, 2.1)]
    assert [False, True, True] == [holds(RATE, each) for each in (150.9, 151.0, 152.0)]


def test_judge():
    """A target is judged in each run by medians; a run that did not measure it says nothing."""
    ratio, rate = judge([canned(ask_p50=ASKS), canned(ask_p50=ASKS, flight=RATES)], [RATIO, RATE])
    assert ((2.0, 2.0), 2) == (ratio.measured, ratio.held)
    assert ((150.0,), 0) == (rate.measured, rate.held)


def test_the_table_of_targets():
    """Bound, figures and whether they hold stand side by side."""
    rows = targets(judge([canned(ask_p50=ASKS), canned(ask_p50=ASKS, flight=RATES)], [RATIO, RATE])).splitlines()
    assert "| ratio  | at most 2 ×             | 2, 2     | 2 of 2 |" == rows[4]
    assert "| rate   | at least 151 per second | 150      | **no** |" == rows[5]
    assert (
        "| rate   | at least 151 per second | not measured |       |"
        == targets(judge([canned()], [RATE])).splitlines()[4]
    )


def test_targets_name_known_figures():
    """Every target is of figures that are measured."""
    named = {pair[0] for target in TARGETS for pair in (target.measured, target.over) if pair}
    assert named <= FIGURES.keys()
    assert {RAW_PIPE, OURS} <= {pair[1] for target in TARGETS for pair in (target.measured, target.over) if pair}


# ---- page and charts


def test_a_table():
    """Median, spread and ratio to the first row, which is the limit."""
    rows = group_table(canned(ask_p50=ASKS, flight={OURS: [1.5]}), [FIGURES["ask_p50"], FIGURES["flight"]]).splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert ["", "ask alone, on all cores, p50, µs ↓", "asks, 64 in flight, per second ↑"] == cells[0]
    assert ["raw pipe", "12 (10 to 20) 1 ×", "n/a"] == cells[2]
    assert ["ours", "24 (18 to 30) 2 ×", "1.50"] == cells[3]


def test_ahead():
    """Who is better than ours is named, whichever way is better; the limit is not."""
    assert "* ask alone, on all cores, p50, µs: peer 20; ours 24" in ahead(canned(ask_p50=ASKS, flight=RATES))
    assert "asks, 64" not in ahead(canned(ask_p50=ASKS, flight=RATES))
    assert "Nowhere" in ahead(canned(flight=RATES))


def test_excuses():
    """A missing figure has its reason, once for all figures and contenders it holds for."""
    run = canned()
    for figure in ("ask_p50", "flight"):
        run.excuse(figure, "peer", "it crashed")
        run.excuse(figure, OURS, "it crashed")
    said = "* peer, ours: it crashed (ask alone, on all cores, p50, µs; asks, 64 in flight, per second)"
    assert said in excuses(run)
    assert "" == excuses(canned())


def test_excuses_of_a_whole_table():
    """A contender without any figure of a table names the table, not each of its figures."""
    run = canned()
    for figure in ("between_p50", "between_p99", "between_tell", "flight"):
        run.excuse(figure, "peer", "not written for it")
    assert "(asks, 64 in flight, per second; One worker to another)" in excuses(run)


def test_in_short():
    """Each figure with a chart has the limit, ours, and the best of the others."""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in short(canned(flight=RATES)).splitlines()]
    assert ["asks, 64 in flight, per second", "100", "150", "peer 90"] in cells


def test_reasons_are_discreet():
    """What stands in the page names no directory and no address of the machine that measured."""
    run = canned()
    run.excuse("flight", "peer", "no file '/home/me/x/lib.so', see https://registry.example/simple/peer, 3/4")
    assert {"peer": "no file 'lib.so', see <address> 3/4"} == run.absent["flight"]


def test_the_page():
    """Both commands have their section, with date, machine, versions and charts; without results there is neither."""
    both = page(Results(bench=[canned(flight=RATES)], peers=[canned(tell=RATES)]))
    assert "2030-01-02 03:04 UTC on a machine, 2 cores. 3 repetitions" in both
    assert "* raw pipe: Python 3.11\n* ours: msgspec 1\n* peer: did not begin" in both
    assert "](benchmarks/flight.svg)" in both
    assert "](benchmarks/peers-tell.svg)" in both
    assert both.index("## Targets") < both.index("## Ours and the standard library") < both.index("## Peers")
    assert "## Peers" not in page(Results(bench=[canned()]))
    assert "## Targets" not in page(Results())


def test_charts():
    """One bar for each contender that has a figure; the longer the more; names are escaped."""
    run = canned(flight={RAW_PIPE: [100.0, 120.0], OURS: [1000.0], "peer": [10.0]})
    run.contenders.append("a <b>")
    run.samples["flight"]["a <b>"] = [50.0]
    ((name, picture),) = charts(run, "x-").items()
    assert "x-flight.svg" == name
    _, *bars = ET.fromstring(picture).findall("{http://www.w3.org/2000/svg}rect")
    assert ["limit", "ours", "bar", "bar"] == [bar.get("class") for bar in bars]
    limit, ours, peer, other = (float(bar.get("width")) for bar in bars)
    assert 0 < peer < other < limit < ours
    assert "a &lt;b&gt;" in picture


def test_written(tmp_path):
    """The page and its charts are written, and charts of former results are gone."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "old.svg").touch()
    write(Results(bench=[canned(flight=RATES)], peers=[canned(tell=RATES)]), tmp_path)
    assert ["flight.svg", "peers-tell.svg"] == sorted(path.name for path in (tmp_path / "benchmarks").iterdir())
    assert (tmp_path / "benchmarks.md").read_text(encoding="utf-8").startswith("# Benchmarks")


def test_the_docs_are_in_step(tmp_path):
    """docs/benchmarks.md and its charts are what `python -m benchmarks --render` makes of the results."""
    write(load(DOCS / "benchmarks" / "results.json"), tmp_path)
    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == (tmp_path / "benchmarks.md").read_text(
        encoding="utf-8"
    )
    made = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "benchmarks").glob("*.svg")}
    assert {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "benchmarks").glob("*.svg")} == made


def test_the_docs_name_nothing_private():
    """No path of the machine that measured."""
    text = (DOCS / "benchmarks" / "results.json").read_text(encoding="utf-8")
    assert str(Path(sys.prefix)) not in text
    assert str(Path.home()) not in text


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0.0, "0"),
        (5.0, "5"),
        (0.12345, "0.123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234567, "1,230,000"),
    ],
)
def test_digits(number, said):
    """Three digits that count."""
    assert said == digits(number)


@pytest.mark.parametrize(("number", "said"), [(2.4, "2.4"), (6, "6"), (1_500_000, "1,500,000")])
def test_plain(number, said):
    """Chosen numbers as they were chosen."""
    assert said == plain(number)


def test_costs_by_process():
    """The processor time of each kind of message, by process, is printed."""
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.costs", "128"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [line.split("  ")[0] for line in printed.stdout.splitlines()[1:]]
    assert 2 + 3 * 5 == len(rows)
    assert ["ask, raw pipe", "tell, raw pipe", "ask, thread", "ask, 64 in flight, thread"] == rows[:4]
