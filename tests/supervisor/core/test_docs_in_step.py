"""The tables of docs/explanation/semantics.md say what the code does."""

from pathlib import Path

import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.causes import Cause, CauseKind, RestartAction, Rule
from supervisor.core.health.hang_detector import Finding, explain
from supervisor.core.rules import policy
from supervisor.core.rules.policy import delay, scope
from supervisor.core.terms import AutoShutdown, Backoff, ChildTerms, RestartPolicy, Strategy, SupervisorTerms
from supervisor.core.tree.commands import Decision, ReportExit
from supervisor.core.tree.events import Boot, ChildExited, ChildReady, RecycleAsked, Timer, TimerFired, TimerKind
from supervisor.core.tree.machine import SupervisorMachine

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "semantics.md"


def table(first_cell):
    """Rows of the table whose head begins with this cell, as lists of cells, the head included."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return [rows[0], *rows[2:]]


def test_restart_by_reason():
    """Every cell of the restart table is policy.RESTARTS."""
    head, *rows = table(r"restart \ reason")
    told = {
        (RestartPolicy(row[0]), ExitKind(kind)): cell
        for row in rows
        for kind, cell in zip(head[1:], row[1:], strict=True)
    }
    done = {
        (restart, kind): "restart" if again else "leave down"
        for restart, answers in policy.RESTARTS.items()
        for kind, again in answers.items()
    }
    assert done == told


def test_rules_by_cause():
    """Each rule leads to what the machine decides, and counts as it counts it; every kind of cause is listed."""
    _, *rows = table("rule")
    assert [row[0] for row in rows] == list(RestartAction)

    def decided(action):
        child = ChildTerms(name="a", rules=(Rule(Cause.hang, RestartAction(action)),))
        machine = SupervisorMachine(SupervisorTerms(), [child])
        machine.handle(0.0, Boot())
        machine.handle(0.0, ChildReady("a", 1))
        said = machine.handle(1.0, ChildExited("a", 1, ExitReason(ExitKind.KILLED), causes=(Cause.hang,)))
        (report,) = (command for command in said if isinstance(command, ReportExit))
        return [report.decision.value, "yes" if report.restarts else "no"]

    assert {row[0]: row[1:3] for row in rows} == {row[0]: decided(row[0]) for row in rows}
    _, *causes = table("cause")
    listed = {row[0].strip("`").removeprefix("Cause.").partition("(")[0] for row in causes}
    assert set(CauseKind) == listed


def test_reasons():
    """Every way to end is explained, in the order of the code."""
    _, *rows = table("reason")
    assert [kind.value for kind in ExitKind] == [row[0] for row in rows]


def word(cell):
    """The first word of a cell."""
    return cell.replace(":", " ").split()[0]


def test_recycling():
    """Each end of a life that was asked to make room leads to what the machine decides, and counts as it counts it."""
    _, *rows = table("the life that makes room ends")

    def told(end):
        machine = SupervisorMachine(SupervisorTerms(), [ChildTerms(name="a")])
        machine.handle(0.0, Boot())
        machine.handle(0.0, ChildReady("a", 1))
        machine.handle(0.0, RecycleAsked("a", 1, "a limit"))
        if end == "killed by its supervisor":
            machine.handle(5.0, TimerFired(Timer("a", 1, TimerKind.GRACE)))
        said = machine.handle(5.0, ChildExited("a", 1, ExitReason(ExitKind(word(end)))))
        (report,) = (command for command in said if isinstance(command, ReportExit))
        decision = "recycle" if report.decision is Decision.RECYCLE else "its policy's"
        return [decision, "yes" if report.restarts else "no"]

    assert {row[0]: row[1:] for row in rows} == {row[0]: told(row[0]) for row in rows}
    kinds = {word(row[0]) for row in rows}
    assert kinds == {kind.value for kind in ExitKind} - {"unstarted"}


def test_hangs():
    """Every kind of hang is explained, in the words of the report."""
    _, *rows = table("the reason of a hang")
    said = [explain(found, "Index.search", 5.0) for found in Finding]
    lacking = [line for line in said if not any(line.startswith(row[0]) for row in rows[:-1])]
    assert [] == lacking
    assert len(Finding) == len(rows) - 1


def test_strategies():
    """The example of b's restart is what the code plans."""
    _, *rows = table("strategy")
    told = {Strategy(row[0]): (row[1].split(), row[2].split()) for row in rows}
    children = [ChildTerms(name=name) for name in "abcd"]
    plans = {strategy: scope(strategy, children, "b") for strategy in Strategy}
    assert {strategy: (list(plan.stop), list(plan.start)) for strategy, plan in plans.items()} == told


def test_backoff():
    """The row of waits is what the code computes."""
    head, seconds = table("restart in a row")
    terms = Backoff(initial=3, cap=30, jitter=0)
    assert [delay(int(nth) - 1, 0.9, terms) for nth in head[1:]] == [float(cell) for cell in seconds[1:]]


@pytest.mark.parametrize("rule", AutoShutdown)
def test_auto_shutdown(rule):
    """The auto_shutdown table is what the code answers, refusals included."""
    rows = {row[0]: row[1:] for row in table("auto_shutdown")}
    plain = ChildTerms(name="plain", restart=RestartPolicy.TRANSIENT)
    marked = ChildTerms(name="marked", restart=RestartPolicy.TRANSIENT, significant=True)

    def told(ended, up):
        if policy.refusal(rule, ended):
            return "refused"
        return "ends" if policy.ends_supervisor(rule, ended, up) else "goes on"

    assert [told(plain, [marked]), told(marked, [marked]), told(marked, [plain])] == rows[rule.value]
