"""The machine's stories: one supervisor, told event by event."""

import math

import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules.states import ChildState, IllegalTransition, SupervisorState
from supervisor.core.terms import AutoShutdown, Backoff, ChildTerms, Intensity, RestartPolicy, Strategy, SupervisorTerms
from supervisor.core.tree import commands as c
from supervisor.core.tree.events import (
    Boot,
    ChildExited,
    ChildReady,
    DeleteAsked,
    KillRequested,
    RecycleAsked,
    RestartAsked,
    RetireAsked,
    StartAsked,
    StopRequested,
    TerminateAsked,
    Timer,
    TimerFired,
    TimerKind,
    UndoAsked,
)
from supervisor.core.tree.machine import SupervisorMachine
from supervisor.errors import NoSuchChild
from supervisor.specs import BRUTAL_KILL, INFINITY

PERMANENT, TRANSIENT, TEMPORARY = RestartPolicy
ONE, ALL, REST = Strategy
PLENTY = Intensity(100, 5.0)


def brief(command):
    """A command in a few words: timers without their seconds, reports as decisions."""
    match command:
        case c.AddChild():
            return f"add {command.child}"
        case c.StartChild():
            return f"start {command.child}{command.life}"
        case c.StopChild():
            return f"stop {command.child}{command.life}"
        case c.KillChild():
            return f"kill {command.child}{command.life}"
        case c.SetTimer():
            return f"set {command.timer.kind.value} {command.timer.child}"
        case c.CancelTimer():
            return f"cancel {command.timer.kind.value} {command.timer.child}"
        case c.CloseMailbox():
            return f"retire {command.child}"
        case c.DeleteChild():
            return f"forget {command.child}"
        case c.ReportReady():
            return f"ready {command.child}{command.life}"
        case c.ReportExit():
            return f"{command.decision.value} {command.child}{command.life}"
        case c.Answer():
            return f"answer {command.ticket} {command.verdict.value}"
        case c.Running():
            return "running"
        case c.Terminate():
            return f"terminate {command.reason.kind.value}"


class Bench:
    """A machine, a clock and short words for the events."""

    def __init__(self, *children, **terms):
        terms.setdefault("intensity", PLENTY)
        children = [ChildTerms(name=child) if isinstance(child, str) else child for child in children]
        self.machine = SupervisorMachine(SupervisorTerms(**terms), children)
        self.now = 0.0
        self.last = ()

    def send(self, event):
        self.last = self.machine.handle(self.now, event)
        return self.deeds()

    def deeds(self):
        """What the last event led to, timers left out."""
        return [brief(x) for x in self.last if not isinstance(x, c.SetTimer | c.CancelTimer)]

    def said(self, kind):
        """The last event's only command of this type."""
        (found,) = (x for x in self.last if isinstance(x, kind))
        return found

    def timers(self):
        return {(x.timer.child, x.timer.kind.value): x.after for x in self.last if isinstance(x, c.SetTimer)}

    def life(self, child):
        return next(view.life for view in self.machine.children() if view.name == child)

    def boot(self):
        """Start everything and let everything become ready."""
        self.send(Boot())
        while waiting := [v.name for v in self.machine.children() if v.state is ChildState.STARTING]:
            for name in waiting:
                self.ready(name)
        assert self.machine.phase is SupervisorState.RUNNING
        return self

    def ready(self, child):
        return self.send(ChildReady(child, self.life(child)))

    def exit(self, child, kind="crashed", detail="", roll=0.0):
        return self.send(ChildExited(child, self.life(child), ExitReason(ExitKind(kind), detail), roll))

    def recycle(self, child, because="max_age"):
        return self.send(RecycleAsked(child, self.life(child), because))

    def fire(self, child, kind, life=None):
        life = self.life(child) if life is None and child else life or 0
        return self.send(TimerFired(Timer(child, life, TimerKind(kind))))

    def states(self):
        return {view.name: view.state.value for view in self.machine.children()}


def temporary(name, **terms):
    return ChildTerms(name=name, restart=TEMPORARY, **terms)


def transient(name, **terms):
    return ChildTerms(name=name, restart=TRANSIENT, **terms)


# -- starting ------------------------------------------------------------------------------------------------


def test_children_start_in_order_each_when_the_former_is_ready():
    """An ordered start waits for ready, and Running comes with the last of them."""
    bench = Bench("a", "b", "c")
    assert bench.send(Boot()) == ["start a1"]
    assert bench.ready("a") == ["ready a1", "start b1"]
    assert bench.ready("b") == ["ready b1", "start c1"]
    assert bench.machine.phase is SupervisorState.STARTING
    assert bench.ready("c") == ["ready c1", "running"]
    assert bench.machine.phase is SupervisorState.RUNNING


def test_a_parallel_start_begins_with_all_and_runs_with_the_last():
    """Parallel children are started at once; the supervisor runs when all are ready, in whatever order."""
    bench = Bench("a", "b", "c", start="parallel")
    assert bench.send(Boot()) == ["start a1", "start b1", "start c1"]
    assert bench.ready("c") == ["ready c1"]
    assert bench.ready("a") == ["ready a1"]
    assert bench.ready("b") == ["ready b1", "running"]


def test_a_supervisor_without_children_runs_at_once():
    """Nothing to wait for."""
    assert Bench().send(Boot()) == ["running"]


def test_booting_twice_is_illegal_and_changes_nothing():
    """The engine's mistake is told, not obeyed."""
    bench = Bench("a").boot()
    with pytest.raises(IllegalTransition, match="'boot' is not legal in state 'running'"):
        bench.send(Boot())
    assert bench.exit("a") == ["restart a1", "start a2"]


def test_a_failing_first_start_rolls_back_in_reverse_and_tells_why():
    """OTP: start_children stops those before the failed one; nothing is counted or repeated."""
    bench = Bench("a", "b", "c", "d")
    for step in (Boot(), ChildReady("a", 1), ChildReady("b", 1)):
        bench.send(step)
    assert bench.exit("c", "crashed", "KeyError: 'x'") == ["leave_down c1", "retire c", "retire d", "stop b1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b", "stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "terminate unstarted"]
    over = bench.said(c.Terminate)
    assert over == c.Terminate(ExitReason(ExitKind.UNSTARTED, "KeyError: 'x'"), "c", exceeded=False, started=False)
    assert bench.machine.restarts(bench.now) == 0


def test_a_parallel_boot_that_fails_stops_those_still_starting_too():
    """Rolling back does not wait for anyone to become ready."""
    bench = Bench("a", "b", "c", start="parallel")
    bench.send(Boot())
    assert bench.exit("b") == ["leave_down b1", "retire b", "stop c1"]
    assert bench.exit("c") == ["expected c1", "retire c", "stop a1"]


def test_a_child_not_ready_in_time_is_killed_and_reported_unstarted():
    """The start timer kills; the death that follows is a failed start with the seconds in it."""
    bench = Bench(ChildTerms(name="a", start_timeout=30.0))
    bench.send(Boot())
    assert bench.timers() == {("a", "start"): 30.0}
    assert bench.fire("a", "start") == ["kill a1"]
    assert bench.ready("a") == []
    bench.exit("a", "killed", "SIGKILL")
    assert bench.said(c.ReportExit).reason == ExitReason(ExitKind.UNSTARTED, "not ready within 30 s")


@pytest.mark.parametrize("kind", ["crashed", "normal"])
def test_a_child_that_has_left_while_its_process_stays_is_reported_as_it_left(kind):
    """A thread of its own kept the process beyond the start timer, which is not why it did not start."""
    bench = Bench(ChildTerms(name="a", start_timeout=30.0))
    bench.send(Boot())
    bench.fire("a", "start")
    bench.exit("a", kind, "sys.exit(3) in A.on_start, but its process stayed and was killed")
    assert (
        ExitReason(ExitKind.UNSTARTED, "sys.exit(3) in A.on_start, but its process stayed and was killed")
        == bench.said(c.ReportExit).reason
    )


def test_a_child_may_take_for_ever_to_start_if_its_spec_says_so():
    """An infinite start timeout sets no timer."""
    bench = Bench(ChildTerms(name="a", start_timeout=math.inf))
    bench.send(Boot())
    assert bench.timers() == {}


def test_a_silent_end_before_ready_still_says_how():
    """A reason without detail leaves its kind behind as the detail of unstarted."""
    bench = Bench("a")
    bench.send(Boot())
    bench.exit("a", "normal")
    assert bench.said(c.ReportExit).reason == ExitReason(ExitKind.UNSTARTED, "normal")


def test_ready_cancels_the_start_timer():
    """Once ready, the child may take as long as it likes over its work."""
    bench = Bench("a")
    bench.send(Boot())
    bench.ready("a")
    assert brief(bench.last[0]) == "cancel start a"
    assert bench.fire("a", "start") == []


def test_a_crash_while_others_still_start_is_restarted_like_any_other():
    """one_for_one: a ready child that dies during the boot does not hold it up."""
    bench = Bench("a", "b")
    bench.send(Boot())
    bench.ready("a")
    assert bench.exit("a") == ["restart a1", "start a2"]
    assert bench.ready("b") == ["ready b1", "running"]
    assert bench.states() == {"a": "starting", "b": "running"}


def test_a_failed_restart_during_the_boot_is_no_failed_boot():
    """Only a child's first start can roll the boot back."""
    bench = Bench("a", "b")
    bench.send(Boot())
    bench.ready("a")
    bench.exit("a")
    assert bench.exit("a") == ["restart a2"]
    assert bench.ready("b") == ["ready b1", "running"]


def test_a_crash_during_a_grouped_boot_begins_it_anew():
    """one_for_all: what was started is stopped, and all start in order, before the supervisor runs."""
    bench = Bench("a", "b", "c", strategy=ALL)
    bench.send(Boot())
    bench.ready("a")
    assert bench.exit("a") == ["restart a1", "stop b1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "start a2"]
    assert bench.ready("a") == ["ready a2", "start b2"]
    assert bench.ready("b") == ["ready b2", "start c1"]
    assert bench.ready("c") == ["ready c1", "running"]
    assert bench.machine.phase is SupervisorState.RUNNING


def test_a_parallel_grouped_boot_can_be_up_while_a_restart_runs():
    """Every child has been ready once: the supervisor is up, and restarting."""
    bench = Bench("a", "b", strategy=REST, start="parallel")
    bench.send(Boot())
    bench.ready("b")
    assert bench.exit("b") == ["restart b1", "start b2"]
    assert bench.ready("a") == ["ready a1", "running"]
    assert bench.machine.phase is SupervisorState.RESTARTING
    assert bench.ready("b") == ["ready b2"]
    assert bench.machine.phase is SupervisorState.RUNNING


# -- stopping ------------------------------------------------------------------------------------------------


def test_children_stop_in_reverse_order_each_awaited():
    """A stop request takes the last started first; Terminate is the last word."""
    bench = Bench("a", "b", "c").boot()
    assert bench.send(StopRequested()) == ["stop c1"]
    assert bench.machine.phase is SupervisorState.STOPPING
    assert bench.exit("c", "shutdown") == ["expected c1", "retire c", "stop b1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b", "stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "terminate shutdown"]
    assert bench.machine.phase is SupervisorState.STOPPED
    assert bench.said(c.Terminate).failed == ""
    assert bench.said(c.Terminate).started


def pooled(name):
    return ChildTerms(name=name, pool="p", own_budget=True)


def test_members_of_a_pool_stop_together():
    """Those of one pool are asked in one step, wherever they stand; other children keep their turn."""
    bench = Bench("a", pooled("p/0"), pooled("p/1"), "b", pooled("p/2")).boot()
    assert bench.send(StopRequested()) == ["stop p/21", "stop p/11", "stop p/01"]
    assert bench.exit("p/1", "shutdown") == ["expected p/11", "retire p/1"]
    assert bench.exit("p/2", "shutdown") == ["expected p/21", "retire p/2", "stop b1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b"]
    assert bench.exit("p/0", "shutdown") == ["expected p/01", "retire p/0", "stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "terminate shutdown"]


def test_members_of_a_pool_stop_together_for_a_restart():
    """A plan stops a pool in one step, too."""
    bench = Bench("a", pooled("p/0"), pooled("p/1"), strategy=ALL).boot()
    assert bench.exit("a", "crashed")[-2:] == ["stop p/11", "stop p/01"]


def test_after_terminate_only_calls_are_answered():
    """Whatever comes; a call is refused."""
    bench = Bench("a")
    assert bench.send(StopRequested()) == ["retire a", "terminate shutdown"]
    assert not bench.said(c.Terminate).started
    for event in (Boot(), StopRequested(1.0), KillRequested(), ChildReady("a", 1)):
        assert bench.send(event) == []
    for call in (RestartAsked(1, "a"), StartAsked(1, ChildTerms(name="b"))):
        assert bench.send(call) == ["answer 1 stopping"]


def test_the_ladder_is_ask_grace_kill_await():
    """A child that refuses is killed after its grace, and its death is still expected."""
    bench = Bench(ChildTerms(name="a", shutdown=5.0)).boot()
    assert bench.send(StopRequested()) == ["stop a1"]
    assert bench.timers() == {("a", "grace"): 5.0}
    assert bench.fire("a", "grace") == ["kill a1"]
    assert bench.exit("a", "killed", "SIGKILL") == ["expected a1", "retire a", "terminate shutdown"]
    assert bench.said(c.ReportExit).reason.kind is ExitKind.KILLED


def test_brutal_kill_asks_nobody():
    """A shutdown of 0 is SIGKILL at once."""
    bench = Bench(ChildTerms(name="a", shutdown=BRUTAL_KILL)).boot()
    assert bench.send(StopRequested()) == ["kill a1"]
    assert bench.timers() == {}


def test_infinity_waits_without_a_timer():
    """A shutdown of infinity is never killed by its own grace."""
    bench = Bench(ChildTerms(name="a", shutdown=INFINITY)).boot()
    assert bench.send(StopRequested()) == ["stop a1"]
    assert bench.timers() == {}


def test_a_deadline_kills_all_that_is_left():
    """The total deadline ends the patience with everybody, also with those not asked yet."""
    bench = Bench("a", ChildTerms(name="b", shutdown=INFINITY)).boot()
    assert bench.send(StopRequested(2.0)) == ["stop b1"]
    assert bench.timers() == {("", "deadline"): 2.0}
    assert bench.fire("", "deadline", 1) == ["kill b1", "kill a1"]
    assert bench.exit("b", "killed") == ["expected b1", "retire b"]
    assert bench.exit("a", "killed") == ["expected a1", "retire a", "terminate shutdown"]


def test_a_second_deadline_replaces_the_first():
    """The first one's firing is of the past."""
    bench = Bench("a").boot()
    bench.send(StopRequested(9.0))
    bench.send(StopRequested(2.0))
    assert bench.fire("", "deadline", 1) == []
    assert bench.fire("", "deadline", 2) == ["kill a1"]
    bench.exit("a")
    assert bench.deeds()[-1] == "terminate shutdown"


@pytest.mark.parametrize("phase", ["new", "starting", "running", "restarting", "stopping"])
def test_a_kill_request_kills_everything_in_every_state(phase):
    """The second signal of an impatient operator waits for no order and no grace."""
    bench = Bench("a", "b", strategy=ALL)
    if phase != "new":
        bench.send(Boot())
        bench.ready("a")
    if phase in ("running", "restarting", "stopping"):
        bench.ready("b")
    if phase == "restarting":
        bench.exit("a")
    if phase == "stopping":
        bench.send(StopRequested())
    assert bench.machine.phase.value == phase
    alive = [view.name for view in bench.machine.children() if view.state.value not in ("stopped", "backoff")]
    deeds = bench.send(KillRequested())
    assert [deed for deed in deeds if deed.startswith("kill")] == [f"kill {name}1" for name in reversed(alive)]
    for name in alive:
        bench.exit(name, "killed")
    assert bench.deeds()[-1] == "terminate shutdown"


def test_a_stop_request_is_served_while_a_child_is_starting():
    """The child that starts is stopped too, and no other is started."""
    bench = Bench("a", "b", "c")
    bench.send(Boot())
    bench.ready("a")
    assert bench.send(StopRequested()) == ["retire c", "stop b1"]
    assert bench.ready("b") == []
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b", "stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "terminate shutdown"]
    assert not bench.said(c.Terminate).started


def test_a_stop_request_ends_a_backoff():
    """A child that waits for its restart is retired at once, its timer cancelled."""
    bench = Bench("a", "b").boot()
    bench.exit("b")
    bench.exit("b")
    assert bench.states()["b"] == "backoff"
    assert bench.send(StopRequested()) == ["retire b", "stop a1"]
    assert brief(bench.last[0]) == "cancel backoff b"
    assert bench.fire("b", "backoff") == []


def test_a_death_we_asked_for_is_not_a_crash():
    """While stopping no policy is consulted, however the child dies."""
    bench = Bench("a", "b").boot()
    bench.send(StopRequested())
    assert bench.exit("b", "crashed") == ["expected b1", "retire b", "stop a1"]


def test_a_crash_of_one_not_asked_yet_is_expected_while_stopping():
    """Nothing is started again in a supervisor that ends."""
    bench = Bench("a", "b").boot()
    bench.send(StopRequested())
    assert bench.exit("a", "crashed") == ["expected a1", "retire a"]
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b", "terminate shutdown"]


# -- restarting, one_for_one ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normal", "shutdown", "crashed", "killed", "lost"])
@pytest.mark.parametrize("restart", RestartPolicy, ids=lambda policy: policy.value)
def test_restart_by_reason_end_to_end(restart, kind):
    """The truth table through the machine: restarted, kept but down, or forgotten."""
    bench = Bench(ChildTerms(name="a", restart=restart)).boot()
    deeds = bench.exit("a", kind)
    if restart is PERMANENT or (restart is TRANSIENT and kind not in ("normal", "shutdown")):
        assert deeds == ["restart a1", "start a2"]
        assert bench.states() == {"a": "starting"}
    elif restart is TRANSIENT:
        assert deeds == ["leave_down a1", "retire a"]
        assert bench.states() == {"a": "exited"}
    else:
        assert deeds == ["leave_down a1", "retire a", "forget a"]
        assert bench.states() == {}


def test_the_first_restart_is_at_once_and_the_next_ones_wait():
    """Backoff doubles from crash to crash; the report carries the wait."""
    terms = ChildTerms(name="a", backoff=Backoff(initial=0.5, cap=1.5, jitter=1.0))
    bench = Bench(terms).boot()
    bench.exit("a")
    assert bench.said(c.ReportExit).delay == 0.0
    for life, roll, wait in [(2, 0.0, 0.5), (3, 0.5, 1.5), (4, 0.0, 1.5), (5, 0.5, 2.25)]:
        bench.ready("a")
        bench.exit("a", roll=roll)
        assert bench.said(c.ReportExit).delay == wait
        assert bench.said(c.ReportExit).restarts == life
        assert bench.timers() == {("a", "backoff"): wait}
        (view,) = bench.machine.children()
        assert (view.state, view.next_try_at) == (ChildState.BACKOFF, wait)
        assert bench.fire("a", "backoff") == [f"start a{life + 1}"]


def test_a_healthy_stretch_makes_the_next_restart_a_first_one():
    """The count starts anew when the life that ended was ready long enough."""
    terms = ChildTerms(name="a", backoff=Backoff(initial=0.5, healthy_after=10.0))
    bench = Bench(terms).boot()
    bench.exit("a")
    bench.now = 1.0
    bench.ready("a")
    bench.now = 10.9
    bench.exit("a")
    assert bench.said(c.ReportExit).delay == 0.5
    bench.fire("a", "backoff")
    bench.ready("a")
    bench.now = 21.0
    bench.exit("a")
    assert bench.said(c.ReportExit).delay == 0.0


def test_exceeding_the_intensity_stops_the_others_in_reverse_and_ends():
    """OTP: the supervisor gives up with reason shutdown, and says whose death it was."""
    bench = Bench("a", "b", "c", intensity=Intensity(1, 5.0)).boot()
    assert bench.exit("b") == ["restart b1", "start b2"]
    bench.ready("b")
    bench.now = 5.0
    assert bench.exit("b") == ["give_up b2", "retire b", "stop c1"]
    assert bench.said(c.ReportExit).restarts == 2
    bench.exit("c", "shutdown")
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "terminate shutdown"]
    over = bench.said(c.Terminate)
    assert (over.failed, over.exceeded, over.started) == ("b", True, True)


def test_a_restart_after_the_period_is_allowed():
    """The window slides."""
    bench = Bench("a", intensity=Intensity(1, 5.0)).boot()
    bench.exit("a")
    bench.ready("a")
    bench.now = 5.001
    assert bench.exit("a")[0] == "restart a2"
    assert bench.machine.restarts(5.001) == 1


def test_intensity_is_shared_by_all_children():
    """Two children, one window."""
    bench = Bench("a", "b", intensity=Intensity(1, 5.0)).boot()
    bench.exit("a")
    assert bench.exit("b")[0] == "give_up b1"


def test_a_failed_start_in_a_restart_counts_and_yields():
    """Every attempt is in the window, and a timer lies between attempts, so a stop is served."""
    bench = Bench("a", intensity=Intensity(3, 5.0)).boot()
    bench.exit("a")
    assert bench.exit("a") == ["restart a2"]
    assert bench.timers() == {("a", "backoff"): 0.1}
    assert bench.machine.restarts(0.0) == 2
    bench.fire("a", "backoff")
    bench.exit("a")
    bench.fire("a", "backoff")
    assert bench.exit("a") == ["give_up a4", "retire a", "terminate shutdown"]


def test_a_failed_start_yields_even_without_any_backoff():
    """A wait of zero seconds is still a timer."""
    bench = Bench(ChildTerms(name="a", backoff=Backoff(initial=0.0))).boot()
    bench.exit("a")
    assert bench.exit("a") == ["restart a2"]
    assert bench.timers() == {("a", "backoff"): 0.0}


def test_a_transient_child_whose_restart_fails_is_tried_again():
    """An unstarted life is an abnormal end, even when the process left in peace."""
    bench = Bench(transient("a")).boot()
    bench.exit("a")
    assert bench.exit("a", "normal") == ["restart a2"]


def test_one_slow_to_start_and_one_refusing_to_stop_delay_no_sibling():
    """one_for_one: each child's trouble is its own."""
    bench = Bench("a", "b", "c").boot()
    bench.exit("a")
    bench.send(TerminateAsked(1, "b"))
    assert bench.states() == {"a": "starting", "b": "stopping", "c": "running"}
    assert bench.exit("c") == ["restart c1", "start c2"]
    assert bench.send(StartAsked(2, ChildTerms(name="d"))) == ["add d", "start d1"]
    assert bench.ready("d") == ["ready d1", "answer 2 ok"]


def test_two_siblings_wait_each_for_its_own_timer():
    """one_for_one backoffs run side by side."""
    bench = Bench("a", "b").boot()
    for name in "ab":
        bench.exit(name)
        bench.exit(name)
    assert bench.states() == {"a": "backoff", "b": "backoff"}
    assert bench.fire("b", "backoff") == ["start b3"]
    assert bench.fire("a", "backoff") == ["start a3"]


def test_members_of_a_pool_have_budgets_of_their_own():
    """Each counts for itself; one that needs too many restarts ends the supervisor, and the text names it."""
    pool = [ChildTerms(name=f"p/{n}", own_budget=True, backoff=Backoff(initial=0, cap=0)) for n in range(3)]
    bench = Bench(*pool, ChildTerms(name="a", backoff=Backoff(initial=0, cap=0)), intensity=Intensity(2, 5.0)).boot()
    for _ in range(2):
        for name in ("p/0", "p/1", "p/2", "a"):
            bench.exit(name)
            bench.ready(name)
    assert 2 == bench.machine.restarts(bench.now)
    bench.exit("p/1")
    report = bench.said(c.ReportExit)
    assert ("give_up", 3) == (report.decision, report.restarts)
    assert "restart 3 of 'p/1' within 5 s, where 2 are allowed" == report.because


def test_a_deleted_child_takes_its_budget_along():
    """One that is added under its name starts with a full one."""
    terms = ChildTerms(name="p/0", own_budget=True, backoff=Backoff(initial=0, cap=0))
    bench = Bench(terms, "a", intensity=Intensity(1, 5.0)).boot()
    bench.exit("p/0")
    bench.ready("p/0")
    bench.send(TerminateAsked(1, "p/0"))
    bench.exit("p/0", "shutdown")
    bench.send(DeleteAsked(2, "p/0"))
    assert 0 == bench.machine.restarts(bench.now)
    bench.send(StartAsked(3, terms))
    bench.ready("p/0")
    bench.exit("p/0")
    assert "restart" == bench.said(c.ReportExit).decision


# -- restarting, several ---------------------------------------------------------------------------------------


def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order():
    """The siblings' mailboxes survive: none is closed."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    assert bench.exit("b") == ["restart b1", "stop c1"]
    assert bench.machine.phase is SupervisorState.RESTARTING
    assert bench.exit("c", "shutdown") == ["expected c1", "stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "start a2"]
    assert bench.ready("a") == ["ready a2", "start b2"]
    assert bench.ready("b") == ["ready b2", "start c2"]
    assert bench.ready("c") == ["ready c2"]
    assert bench.machine.phase is SupervisorState.RUNNING
    assert bench.machine.restarts(0.0) == 1


def test_rest_for_one_leaves_those_before_alone():
    """Only those started after the culprit are stopped, in reverse."""
    bench = Bench("a", "b", "c", "d", strategy=REST).boot()
    assert bench.exit("b") == ["restart b1", "stop d1"]
    assert bench.exit("d", "shutdown") == ["expected d1", "stop c1"]
    assert bench.exit("c", "shutdown") == ["expected c1", "start b2"]
    assert bench.ready("b") == ["ready b2", "start c2"]
    assert bench.states()["a"] == "running"


def test_a_parallel_supervisor_restarts_its_group_at_once():
    """Stops stay ordered, starts go together."""
    bench = Bench("a", "b", "c", strategy=ALL, start="parallel").boot()
    bench.exit("a")
    bench.exit("c", "shutdown")
    assert bench.exit("b", "shutdown") == ["expected b1", "start a2", "start b2", "start c2"]


def test_temporary_siblings_stopped_by_a_plan_are_forgotten():
    """They are stopped in their turn, retired, and not started again."""
    bench = Bench("a", temporary("t"), "c", strategy=ALL).boot()
    bench.exit("a")
    bench.exit("c", "shutdown")
    assert bench.exit("t", "shutdown") == ["expected t1", "retire t", "forget t", "start a2"]
    assert bench.ready("a") == ["ready a2", "start c2"]
    assert "t" not in bench.states()


def test_a_temporary_child_never_begins_a_plan():
    """Its death under one_for_all affects no sibling."""
    bench = Bench("a", temporary("t"), strategy=ALL).boot()
    assert bench.exit("t") == ["leave_down t1", "retire t", "forget t"]
    assert bench.states() == {"a": "running"}


def test_a_plan_starts_children_that_were_down():
    """OTP: one_for_all starts every child of the spec, also one terminated by a call or ended for good."""
    bench = Bench("a", transient("b"), "c", strategy=ALL).boot()
    bench.exit("b", "normal")
    bench.send(TerminateAsked(1, "c"))
    bench.exit("c", "shutdown")
    assert bench.states() == {"a": "running", "b": "exited", "c": "stopped"}
    assert bench.exit("a") == ["restart a1", "start a2"]
    assert bench.ready("a") == ["ready a2", "start b2"]
    assert bench.ready("b") == ["ready b2", "start c2"]


def test_a_death_before_its_turn_to_be_stopped_joins_the_plan():
    """It is neither counted nor stopped; it is started with the others."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.exit("a")
    assert bench.exit("b", "crashed") == ["restart b1"]
    assert bench.machine.restarts(0.0) == 1
    assert bench.exit("c", "shutdown") == ["expected c1", "start a2"]


def test_a_temporary_death_before_its_turn_is_forgotten():
    """Joining a plan starts no temporary child."""
    bench = Bench("a", temporary("t"), "c", strategy=ALL).boot()
    bench.exit("a")
    assert bench.exit("t", "crashed") == ["leave_down t1", "retire t", "forget t"]
    assert bench.exit("c", "shutdown") == ["expected c1", "start a2"]


def test_a_death_of_one_started_again_takes_the_plan_over():
    """A second failure while the plan starts children is counted and begins all anew."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.exit("a")
    bench.exit("c", "shutdown")
    bench.exit("b", "shutdown")
    bench.ready("a")
    assert bench.exit("a") == ["restart a2", "stop b2"]
    assert bench.machine.restarts(0.0) == 2
    assert bench.exit("b", "shutdown") == ["expected b2"]
    assert bench.fire("a", "backoff") == ["start a3"]


def test_one_for_all_after_a_failed_start_stops_all_and_starts_all():
    """The child whose start failed is the culprit of the next attempt."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.exit("c")
    bench.exit("b", "shutdown")
    bench.exit("a", "shutdown")
    bench.ready("a")
    assert bench.exit("b") == ["restart b2", "stop a2"]
    assert bench.exit("a", "shutdown") == ["expected a2"]
    assert bench.timers() == {("b", "backoff"): 0.0}
    assert bench.fire("b", "backoff") == ["start a3"]
    assert bench.ready("a") == ["ready a3", "start b3"]


def test_rest_for_one_resumes_from_the_child_whose_start_failed():
    """Those already started again keep running."""
    bench = Bench("a", "b", "c", strategy=REST).boot()
    bench.exit("a")
    bench.exit("c", "shutdown")
    bench.exit("b", "shutdown")
    bench.ready("a")
    assert bench.exit("b") == ["restart b2"]
    assert bench.states() == {"a": "running", "b": "backoff", "c": "backoff"}
    assert bench.fire("b", "backoff") == ["start b3"]
    assert bench.ready("b") == ["ready b3", "start c2"]


def test_two_waits_in_one_plan_end_with_the_later():
    """A sibling's crash does not shorten the wait of one that keeps failing."""
    slow = ChildTerms(name="b", backoff=Backoff(initial=4.0, cap=4.0, jitter=0.0))
    bench = Bench("a", slow, strategy=REST).boot()
    bench.exit("b")
    bench.exit("b")
    assert bench.timers() == {("b", "backoff"): 4.0}
    bench.now = 1.0
    assert bench.exit("a") == ["restart a1"]
    assert [brief(x) for x in bench.last] == ["cancel backoff b", "restart a1", "set backoff a"]
    assert bench.said(c.ReportExit).delay == 3.0
    assert bench.fire("b", "backoff") == []
    assert bench.fire("a", "backoff") == ["start a2"]


def test_a_plan_that_grows_still_stops_in_reverse():
    """Under rest_for_one a crash before the first culprit widens the plan; the stop under way is waited for."""
    bench = Bench("a", "b", "c", "d", "e", strategy=REST).boot()
    assert bench.exit("d") == ["restart d1", "stop e1"]
    assert bench.exit("a") == ["restart a1"]
    assert bench.exit("e", "shutdown") == ["expected e1", "stop c1"]
    assert bench.exit("c", "shutdown") == ["expected c1", "stop b1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "start a2"]


def test_a_parallel_plan_is_not_done_before_all_it_started_are_ready():
    """Under rest_for_one a failed start makes a new plan from there on; those before it are still waited for."""
    bench = Bench("a", "b", strategy=REST, start="parallel").boot()
    bench.exit("a")
    bench.exit("b", "shutdown")
    assert bench.exit("b") == ["restart b2"]
    bench.fire("b", "backoff")
    assert bench.ready("b") == ["ready b3"]
    assert bench.machine.phase is SupervisorState.RESTARTING
    assert bench.ready("a") == ["ready a2"]
    assert bench.machine.phase is SupervisorState.RUNNING


def test_a_stop_request_ends_a_plan():
    """Whatever the plan was about, the rest is stopped in reverse."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.exit("b")
    assert bench.send(StopRequested()) == ["retire b"]
    assert bench.exit("c", "shutdown") == ["expected c1", "retire c", "stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "terminate shutdown"]


def test_a_hanging_start_within_a_plan_is_killed_and_counted():
    """The start timer works in a restart as in the boot; the wait stands between the attempts."""
    bench = Bench("a", "b", strategy=REST).boot()
    bench.exit("a")
    bench.exit("b", "shutdown")
    assert bench.fire("a", "start") == ["kill a2"]
    assert bench.exit("a", "killed") == ["restart a2"]
    assert bench.machine.restarts(0.0) == 2


# -- auto_shutdown -------------------------------------------------------------------------------------------


def significant(name, restart=TRANSIENT):
    return ChildTerms(name=name, restart=restart, significant=True)


@pytest.mark.parametrize("restart", [TRANSIENT, TEMPORARY], ids=["transient", "temporary"])
def test_any_significant_ends_with_the_first(restart):
    """The first significant child that ends by itself takes the supervisor along."""
    rule = AutoShutdown.ANY_SIGNIFICANT
    bench = Bench(significant("a", restart), significant("b", restart), "c", auto_shutdown=rule).boot()
    deeds = bench.exit("a", "normal")
    assert deeds[:2] == ["leave_down a1", "retire a"]
    assert deeds[-1] == "stop c1"
    bench.exit("c", "shutdown")
    bench.exit("b", "shutdown")
    over = bench.said(c.Terminate)
    assert (over.reason.kind, over.failed, over.exceeded) == (ExitKind.SHUTDOWN, "a", False)


def test_all_significant_ends_with_the_last():
    """One that waits for its restart is still up."""
    bench = Bench(significant("a"), significant("b"), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT).boot()
    bench.exit("b")
    bench.exit("b")
    assert bench.exit("a", "normal") == ["leave_down a1", "retire a"]
    bench.fire("b", "backoff")
    bench.ready("b")
    assert bench.exit("b", "normal") == ["leave_down b3", "retire b", "terminate shutdown"]


def test_an_end_that_leads_to_a_restart_is_no_auto_shutdown():
    """A transient child's crash is its restart."""
    bench = Bench(significant("a"), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT).boot()
    assert bench.exit("a") == ["restart a1", "start a2"]


def test_an_end_that_was_asked_for_is_no_auto_shutdown():
    """terminate_child of a significant child ends no other."""
    bench = Bench(significant("a"), "b", auto_shutdown=AutoShutdown.ANY_SIGNIFICANT).boot()
    bench.send(TerminateAsked(1, "a"))
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "answer 1 ok"]
    assert bench.machine.phase is SupervisorState.RUNNING


def test_an_end_by_a_siblings_restart_is_no_auto_shutdown():
    """A significant temporary child that a plan stops is dropped, no more."""
    rule = AutoShutdown.ANY_SIGNIFICANT
    bench = Bench("a", significant("t", TEMPORARY), strategy=ALL, auto_shutdown=rule).boot()
    bench.exit("a")
    assert bench.exit("t", "shutdown") == ["expected t1", "retire t", "forget t", "start a2"]


def test_an_auto_shutdown_during_the_boot_lets_it_finish_first():
    """OTP sees the end after its start is done, so the parent sees a supervisor that had started."""
    bench = Bench(significant("a"), "b", auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    bench.send(Boot())
    bench.ready("a")
    assert bench.exit("a", "normal") == ["leave_down a1", "retire a"]
    assert bench.ready("b") == ["ready b1", "running", "stop b1"]
    bench.exit("b", "shutdown")
    assert bench.said(c.Terminate).started


# -- calls ---------------------------------------------------------------------------------------------------


def test_start_child_is_answered_when_ready():
    """Only the caller waits for ready."""
    bench = Bench("a").boot()
    assert bench.send(StartAsked(1, ChildTerms(name="b"))) == ["add b", "start b1"]
    assert bench.ready("b") == ["ready b1", "answer 1 ok"]
    assert list(bench.states()) == ["a", "b"]


def test_start_child_that_fails_discards_the_spec():
    """Its failure is the caller's: nothing is counted, nothing repeated."""
    bench = Bench("a").boot()
    bench.send(StartAsked(1, ChildTerms(name="b")))
    assert bench.exit("b", "crashed", "boom") == ["leave_down b1", "retire b", "forget b", "answer 1 start_failed"]
    assert "boom" in bench.said(c.Answer).detail
    assert bench.machine.restarts(0.0) == 0
    assert bench.states() == {"a": "running"}


def test_start_child_that_hangs_fails_with_the_seconds():
    """The start timeout holds for calls too."""
    bench = Bench().boot()
    bench.send(StartAsked(1, ChildTerms(name="b", start_timeout=3.0)))
    bench.fire("b", "start")
    bench.exit("b", "killed")
    assert bench.deeds()[-1] == "answer 1 start_failed"
    assert "not ready within 3 s" in bench.said(c.Answer).detail


def test_start_child_of_a_name_that_is_taken():
    """OTP: already_started while it has a life or waits for one, already_present when it is down."""
    bench = Bench("a", transient("b"), "c").boot()
    bench.exit("b", "normal")
    bench.exit("c")
    bench.exit("c")
    for ticket, (name, verdict) in enumerate(
        [("a", "already_started"), ("b", "already_present"), ("c", "already_started")]
    ):
        assert bench.send(StartAsked(ticket, ChildTerms(name=name))) == [f"answer {ticket} {verdict}"]


def test_start_child_beyond_max_children():
    """The limit counts every spec."""
    bench = Bench("a", max_children=2).boot()
    bench.send(StartAsked(1, ChildTerms(name="b")))
    assert bench.send(StartAsked(2, ChildTerms(name="c"))) == ["answer 2 max_children"]
    assert bench.send(StartAsked(3, ChildTerms(name="b"))) == ["answer 3 already_started"]


def test_start_child_that_auto_shutdown_does_not_allow():
    """A significant child under never is refused, with the reason."""
    bench = Bench("a").boot()
    assert bench.send(StartAsked(1, significant("b"))) == ["answer 1 refused"]
    assert "auto_shutdown" in bench.said(c.Answer).detail


def test_terminate_child_keeps_the_spec():
    """It is down, retired, and can be started again."""
    bench = Bench("a").boot()
    assert bench.send(TerminateAsked(1, "a")) == ["stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "answer 1 ok"]
    assert bench.states() == {"a": "stopped"}
    assert bench.send(RestartAsked(2, "a")) == ["start a2"]
    assert bench.ready("a") == ["ready a2", "answer 2 ok"]


def test_terminate_child_of_a_temporary_one_forgets_it():
    """OTP keeps no spec of a temporary child."""
    bench = Bench(temporary("a")).boot()
    bench.send(TerminateAsked(1, "a"))
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "forget a", "answer 1 ok"]


def test_terminate_child_twice_answers_both_when_it_is_down():
    """A second caller joins the first; a third, later, is answered at once."""
    bench = Bench("a").boot()
    bench.send(TerminateAsked(1, "a"))
    assert bench.send(TerminateAsked(2, "a")) == []
    assert bench.exit("a") == ["expected a1", "retire a", "answer 1 ok", "answer 2 ok"]
    assert bench.send(TerminateAsked(3, "a")) == ["answer 3 ok"]


def test_terminate_child_takes_a_waiting_restart_back():
    """A child in backoff is down at once, and its timer is of the past."""
    bench = Bench("a").boot()
    bench.exit("a")
    bench.exit("a")
    assert bench.send(TerminateAsked(1, "a")) == ["retire a", "answer 1 ok"]
    assert brief(bench.last[0]) == "cancel backoff a"
    assert bench.states() == {"a": "stopped"}
    assert bench.fire("a", "backoff") == []


def test_terminate_child_of_one_that_a_caller_is_starting():
    """The one who started it learns that it failed, the one who stopped it that it is down."""
    bench = Bench().boot()
    bench.send(StartAsked(1, ChildTerms(name="a")))
    bench.send(TerminateAsked(2, "a"))
    assert bench.exit("a", "shutdown") == [
        "expected a1",
        "retire a",
        "forget a",
        "answer 1 start_failed",
        "answer 2 ok",
    ]


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL])
@pytest.mark.parametrize("added", [True, False], ids=["start_child", "restart_child"])
def test_terminate_child_of_one_whose_start_was_interrupted_by_a_sibling(strategy, added):
    """Both calls are answered at once; the spec goes only if its start brought it."""
    bench = Bench("a", "b", strategy=strategy).boot()
    if added:
        name = "x"
        bench.send(StartAsked(1, ChildTerms(name=name)))
    else:
        name = "b"
        bench.send(TerminateAsked(9, name))
        bench.exit(name, "shutdown")
        bench.send(RestartAsked(1, name))
    bench.exit("a")
    bench.exit(name, "shutdown")
    assert bench.states()[name] == "backoff"
    gone = [f"forget {name}"] if added else []
    said = bench.send(TerminateAsked(2, name))
    assert [f"retire {name}", *gone, "answer 1 start_failed", "answer 2 ok"] == said
    assert (None if added else "stopped") == bench.states().get(name)


def test_terminate_child_of_one_just_killed_for_being_late():
    """The call counts more than the timeout: the death is expected."""
    bench = Bench("a").boot()
    bench.exit("a")
    bench.fire("a", "start")
    assert bench.send(TerminateAsked(1, "a")) == []
    assert bench.exit("a", "killed") == ["expected a2", "retire a", "answer 1 ok"]


def test_restart_child_by_state():
    """OTP: not_found, running, restarting."""
    bench = Bench("a", "b", "c").boot()
    bench.exit("b")
    bench.exit("c")
    bench.exit("c")
    assert bench.send(RestartAsked(1, "x")) == ["answer 1 not_found"]
    assert bench.send(RestartAsked(2, "a")) == ["answer 2 running"]
    assert bench.states() == {"a": "running", "b": "starting", "c": "backoff"}
    assert bench.send(RestartAsked(3, "b")) == ["answer 3 restarting"]
    assert bench.send(RestartAsked(4, "c")) == ["answer 4 restarting"]
    bench.send(TerminateAsked(5, "a"))
    assert bench.send(RestartAsked(6, "a")) == ["answer 6 running"]


def test_restart_child_that_fails_keeps_the_spec_down():
    """The failed start is the caller's; the child stays down and can be asked again."""
    bench = Bench(transient("a")).boot()
    bench.exit("a", "normal")
    assert bench.send(RestartAsked(1, "a")) == ["start a2"]
    assert bench.exit("a") == ["leave_down a2", "retire a", "answer 1 start_failed"]
    assert bench.states() == {"a": "exited"}
    assert bench.send(RestartAsked(2, "a")) == ["start a3"]


def test_restart_child_starts_the_backoff_anew():
    """A person has looked at it: its next restart is a first one."""
    bench = Bench("a").boot()
    bench.exit("a")
    bench.exit("a")
    bench.send(TerminateAsked(1, "a"))
    bench.send(RestartAsked(2, "a"))
    bench.ready("a")
    assert bench.exit("a") == ["restart a3", "start a4"]


def test_delete_child_by_state():
    """OTP: only a child that is down can be deleted."""
    bench = Bench("a", "b", "c").boot()
    bench.exit("c")
    bench.exit("c")
    bench.send(TerminateAsked(1, "b"))
    bench.exit("b", "shutdown")
    assert bench.send(DeleteAsked(2, "x")) == ["answer 2 not_found"]
    assert bench.send(DeleteAsked(3, "a")) == ["answer 3 running"]
    assert bench.send(DeleteAsked(4, "c")) == ["answer 4 restarting"]
    assert bench.send(DeleteAsked(5, "b")) == ["forget b", "answer 5 ok"]
    assert list(bench.states()) == ["a", "c"]


@pytest.mark.parametrize("call", [RestartAsked, TerminateAsked, DeleteAsked, StartAsked])
def test_calls_are_refused_while_starting_and_stopping(call):
    """Before Running: refused. After a stop request: stopping."""
    about = ChildTerms(name="a") if call is StartAsked else "a"
    bench = Bench("a")
    assert bench.send(call(0, about)) == ["answer 0 refused"]
    bench.send(Boot())
    assert bench.send(call(1, about)) == ["answer 1 refused"]
    bench.send(StopRequested())
    assert bench.send(call(2, about)) == ["answer 2 stopping"]


def test_calls_during_a_restart_of_several():
    """Typed refusals, except for the one that takes a waiting child out."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.exit("a")
    assert bench.send(StartAsked(1, ChildTerms(name="d"))) == ["answer 1 restarting"]
    assert bench.send(RestartAsked(2, "a")) == ["answer 2 restarting"]
    assert bench.send(DeleteAsked(3, "a")) == ["answer 3 restarting"]
    assert bench.send(TerminateAsked(4, "c")) == ["answer 4 restarting"]
    assert bench.send(RestartAsked(5, "x")) == ["answer 5 not_found"]
    assert bench.send(TerminateAsked(6, "a")) == ["retire a", "answer 6 ok"]
    bench.exit("c", "shutdown")
    assert bench.exit("b", "shutdown") == ["expected b1", "start b2"]
    bench.ready("b")
    bench.ready("c")
    assert bench.states() == {"a": "stopped", "b": "running", "c": "running"}
    assert bench.machine.phase is SupervisorState.RUNNING


def test_terminating_the_culprit_ends_the_wait_for_it():
    """The others need not wait for a child that will not come."""
    bench = Bench("a", "b", strategy=REST).boot()
    bench.exit("a")
    bench.exit("b", "shutdown")
    bench.exit("a")
    assert bench.states() == {"a": "backoff", "b": "backoff"}
    assert bench.send(TerminateAsked(1, "a")) == ["retire a", "answer 1 ok", "start b2"]


def test_a_plan_takes_over_a_start_that_was_called_for():
    """The caller is answered when the plan has made the child ready."""
    bench = Bench("a", strategy=ALL).boot()
    bench.send(StartAsked(1, ChildTerms(name="b")))
    assert bench.exit("a") == ["restart a1", "stop b1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "start a2"]
    assert bench.ready("a") == ["ready a2", "start b2"]
    assert bench.ready("b") == ["ready b2", "answer 1 ok"]


def test_a_start_called_for_that_fails_within_a_plan_fails_its_caller():
    """Its spec is discarded and the plan goes on without it, uncounted."""
    bench = Bench("a", "c", strategy=ALL).boot()
    bench.send(StartAsked(1, ChildTerms(name="b")))
    bench.exit("a")
    assert bench.exit("b") == ["expected b1", "stop c1"]
    bench.exit("c", "shutdown")
    bench.ready("a")
    assert bench.ready("c") == ["ready c2", "start b2"]
    assert bench.exit("b") == ["leave_down b2", "retire b", "forget b", "answer 1 start_failed"]
    assert bench.machine.restarts(0.0) == 1
    assert bench.machine.phase is SupervisorState.RUNNING


def test_a_restart_called_for_that_fails_within_a_plan_fails_its_caller():
    """The child stays down with its spec, and the plan is done without it."""
    bench = Bench("a", transient("b"), strategy=ALL).boot()
    bench.exit("b", "normal")
    bench.send(RestartAsked(1, "b"))
    bench.exit("a")
    bench.exit("b", "shutdown")
    assert bench.ready("a") == ["ready a2", "start b3"]
    assert bench.exit("b") == ["leave_down b3", "retire b", "answer 1 start_failed"]
    assert bench.machine.phase is SupervisorState.RUNNING


def test_a_child_told_to_terminate_when_a_plan_begins_is_down_and_then_started():
    """The caller is answered when it is down; OTP's plan starts every child of the spec."""
    bench = Bench("a", "b", strategy=ALL).boot()
    bench.send(TerminateAsked(1, "b"))
    assert bench.exit("a") == ["restart a1"]
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b", "answer 1 ok", "start a2"]
    assert bench.ready("a") == ["ready a2", "start b2"]


def test_a_temporary_start_called_for_that_a_plan_stops_fails_its_caller():
    """Temporary children are not started again, so there is nothing to wait for."""
    bench = Bench("a", strategy=ALL).boot()
    bench.send(StartAsked(1, temporary("t")))
    bench.exit("a")
    assert bench.exit("t", "shutdown") == [
        "expected t1",
        "retire t",
        "forget t",
        "answer 1 start_failed",
        "start a2",
    ]


def test_pending_calls_are_answered_when_the_supervisor_stops():
    """A start is answered stopping at once, a terminate ok when the child is down."""
    bench = Bench("a").boot()
    bench.send(TerminateAsked(1, "a"))
    bench.send(StartAsked(2, ChildTerms(name="b")))
    assert bench.send(StopRequested()) == ["answer 2 stopping", "stop b1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "retire a", "answer 1 ok"]
    assert bench.exit("b", "shutdown") == ["expected b1", "retire b", "terminate shutdown"]


# -- what is of the past ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        ChildReady("a", 1),
        ChildReady("a", 2),
        ChildReady("x", 1),
        ChildExited("a", 1, ExitReason(ExitKind.KILLED)),
        ChildExited("a", 9, ExitReason(ExitKind.KILLED)),
        ChildExited("x", 1, ExitReason(ExitKind.KILLED)),
        TimerFired(Timer("a", 1, TimerKind.START)),
        TimerFired(Timer("a", 1, TimerKind.BACKOFF)),
        TimerFired(Timer("x", 1, TimerKind.GRACE)),
        TimerFired(Timer("", 1, TimerKind.DEADLINE)),
    ],
    ids=repr,
)
def test_stale_events_change_nothing(event):
    """Another life, an unknown child, a timer that is not set: no command, no change."""
    bench = Bench("a").boot()
    bench.exit("a")
    bench.ready("a")
    before = (bench.machine.phase, bench.machine.children(), bench.machine.restarts(0.0))
    assert bench.machine.handle(0.0, event) == ()
    assert before == (bench.machine.phase, bench.machine.children(), bench.machine.restarts(0.0))


def test_what_can_be_read():
    """Views in order of start; a child that does not exist is an error with the supervisor's path."""
    bench = Bench("a", "b", path="/shop")
    bench.send(Boot())
    bench.now = 2.5
    bench.ready("a")
    first, second = bench.machine.children()
    assert (first.name, first.state, first.life, first.ready_at) == ("a", ChildState.RUNNING, 1, 2.5)
    assert (second.name, second.state, second.life, second.ready_at) == ("b", ChildState.STARTING, 1, None)
    assert bench.machine.state("a") is ChildState.RUNNING
    with pytest.raises(NoSuchChild, match="'/shop' has no child 'x'"):
        bench.machine.state("x")


# -- recycling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [PERMANENT, TRANSIENT, TEMPORARY])
@pytest.mark.parametrize("strategy", [ONE, ALL, REST])
def test_a_recycled_child_makes_room_for_its_next_life(policy, strategy):
    """Whatever the policy and the strategy: asked, gone, started again at once; no sibling, nothing counted."""
    bench = Bench("a", ChildTerms(name="b", restart=policy), "c", strategy=strategy, intensity=Intensity(0, 5.0)).boot()
    assert ["stop b1"] == bench.recycle("b", "max_messages: 1000 messages")
    assert ["recycle b1", "start b2"] == bench.exit("b", "shutdown")
    report = bench.said(c.ReportExit)
    assert ("max_messages: 1000 messages", 0.0, 0) == (report.because, report.delay, report.restarts)
    assert ["ready b2"] == bench.ready("b")
    assert {"a": "running", "b": "running", "c": "running"} == bench.states()


def test_a_recycled_child_that_is_gone_has_complied():
    """Other code took its exit code: it is gone, as asked."""
    bench = Bench("a").boot()
    bench.recycle("a")
    assert ["recycle a1", "start a2"] == bench.exit("a", "lost")


def test_a_child_that_had_stopped_itself_is_not_recycled():
    """It was asked too late: its policy decides on a normal end."""
    bench = Bench("a", transient("b")).boot()
    bench.recycle("a")
    assert ["restart a1", "start a2"] == bench.exit("a", "normal")
    bench.recycle("b")
    assert ["leave_down b1", "retire b"] == bench.exit("b", "normal")


def test_a_recycled_child_that_does_not_stop_is_killed_after_its_grace():
    """The ladder is the same; being killed by its supervisor is no crash of its own."""
    bench = Bench("a", intensity=Intensity(0, 5.0)).boot()
    bench.recycle("a")
    assert {("a", "grace"): 5.0} == bench.timers()
    assert ["kill a1"] == bench.fire("a", "grace")
    assert ["recycle a1", "start a2"] == bench.exit("a", "killed")


@pytest.mark.parametrize("kind", ["crashed", "killed"])
def test_a_child_that_dies_while_it_is_recycled_has_died_by_itself(kind):
    """Its policy decides and the restart is counted: a crash at every limit must not go on for ever."""
    bench = Bench("a", temporary("t"), intensity=Intensity(1, 5.0)).boot()
    bench.recycle("t")
    assert ["leave_down t1", "retire t", "forget t"] == bench.exit("t", kind)
    bench.recycle("a")
    assert ["restart a1", "start a2"] == bench.exit("a", kind)
    bench.ready("a")
    bench.recycle("a")
    assert ["give_up a2", "retire a", "terminate shutdown"] == bench.exit("a", kind)


def test_a_recycled_life_that_was_healthy_ends_the_row():
    """Recycling is no restart in a row, and a healthy life before it ends one."""
    slow = ChildTerms(name="a", backoff=Backoff(initial=1.0, cap=1.0, jitter=0.0, healthy_after=10.0))
    bench = Bench(slow).boot()
    bench.exit("a")
    bench.ready("a")
    bench.recycle("a")
    bench.exit("a", "shutdown")
    bench.ready("a")
    bench.exit("a")
    assert {("a", "backoff"): 1.0} == bench.timers()
    bench.fire("a", "backoff")
    bench.ready("a")
    bench.now = 20.0
    bench.recycle("a")
    bench.exit("a", "shutdown")
    bench.ready("a")
    assert ["restart a5", "start a6"] == bench.exit("a")


def test_a_successor_that_does_not_start_is_a_failed_start_like_any_other():
    """It is counted, waits, and is tried again."""
    bench = Bench("a").boot()
    bench.recycle("a")
    bench.exit("a", "shutdown")
    assert ["restart a2"] == bench.exit("a")
    assert 1 == bench.said(c.ReportExit).restarts
    assert ["start a3"] == bench.fire("a", "backoff", 2)


def test_only_what_runs_is_recycled():
    """A former life, an unknown child, one that starts, stops, waits or is down: nothing changes."""
    bench = Bench("a", transient("b"), "c")
    bench.send(Boot())
    assert [] == bench.recycle("a")
    bench.ready("a")
    bench.ready("b")
    bench.ready("c")
    assert [] == bench.send(RecycleAsked("a", 7, "max_age"))
    assert [] == bench.send(RecycleAsked("x", 1, "max_age"))
    bench.exit("b", "normal")
    assert [] == bench.recycle("b")
    bench.send(TerminateAsked(1, "a"))
    assert [] == bench.recycle("a")
    bench.exit("c")
    bench.exit("c")
    assert "backoff" == bench.states()["c"]
    assert [] == bench.recycle("c")


def test_a_recycled_child_is_called_off_by_a_call():
    """terminate_child has the last word; the child stays down."""
    bench = Bench("a").boot()
    bench.recycle("a")
    assert [] == bench.send(TerminateAsked(1, "a"))
    assert ["expected a1", "retire a", "answer 1 ok"] == bench.exit("a", "shutdown")


def test_the_end_of_the_supervisor_is_the_end_of_recycling():
    """Asked before, it ends with the others; asked later, it is not heard."""
    bench = Bench("a", "b").boot()
    bench.recycle("a")
    assert ["stop b1"] == bench.send(StopRequested())
    assert [] == bench.recycle("b")
    assert ["expected a1", "retire a"] == bench.exit("a", "shutdown")
    assert ["expected b1", "retire b", "terminate shutdown"] == bench.exit("b", "shutdown")


def test_a_plan_takes_a_recycled_child_over():
    """It is on its way down already: the plan waits for that, and starts it in its turn."""
    bench = Bench("a", "b", strategy=ALL).boot()
    bench.recycle("b")
    assert ["restart a1"] == bench.exit("a")
    assert ["expected b1", "start a2"] == bench.exit("b", "shutdown")
    assert ["ready a2", "start b2"] == bench.ready("a")


def test_what_a_plan_is_about_to_stop_is_not_recycled():
    """Its turn comes; a recycled child that is gone before its turn has joined the plan."""
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.recycle("b")
    assert ["restart a1", "stop c1"] == bench.exit("a")
    assert ["restart b1"] == bench.exit("b", "shutdown")
    assert 1 == bench.said(c.ReportExit).restarts
    assert ["expected c1", "start a2"] == bench.exit("c", "shutdown")
    bench = Bench("a", "b", "c", strategy=ALL).boot()
    bench.exit("a")
    assert [] == bench.recycle("b")


def test_a_child_before_the_culprit_is_recycled_during_a_plan():
    """rest_for_one: whom the plan does not touch may come and go meanwhile."""
    bench = Bench("a", "b", "c", strategy=REST).boot()
    assert ["restart b1", "stop c1"] == bench.exit("b")
    assert ["stop a1"] == bench.recycle("a")
    assert ["recycle a1", "start a2"] == bench.exit("a", "shutdown")
    assert ["expected c1", "start b2"] == bench.exit("c", "shutdown")


def test_a_child_is_recycled_while_others_have_never_been_ready():
    """The boot goes on; the successor is not waited for."""
    bench = Bench("a", "b")
    bench.send(Boot())
    assert ["ready a1", "start b1"] == bench.ready("a")
    assert ["stop a1"] == bench.recycle("a")
    assert ["recycle a1", "start a2"] == bench.exit("a", "shutdown")
    assert ["ready b1", "running"] == bench.ready("b")


# -- a call adds a pool as a whole -----------------------------------------------------------------------


def pool_asked(ticket, name="p", size=3, **terms):
    first, *others = (ChildTerms(name=f"{name}/{index}", pool=name, own_budget=True, **terms) for index in range(size))
    return StartAsked(ticket, first, name, tuple(others))


def test_all_members_of_a_pool_are_added_before_one_starts():
    """And the call is answered when all are ready."""
    bench = Bench("a").boot()
    adds = ["add p/0", "add p/1", "add p/2"]
    assert bench.send(pool_asked(1)) == [*adds, "start p/01", "start p/11", "start p/21"]
    assert bench.ready("p/1") == ["ready p/11"]
    assert bench.ready("p/0") == ["ready p/01"]
    assert bench.ready("p/2") == ["ready p/21", "answer 1 ok"]


def test_one_member_that_does_not_start_takes_the_others_with_it():
    """The call is answered when the last of them is gone."""
    bench = Bench("a").boot()
    bench.send(pool_asked(1))
    bench.ready("p/0")
    gone = ["leave_down p/11", "retire p/1", "forget p/1"]
    assert bench.exit("p/1", detail="no") == [*gone, "stop p/21", "stop p/01"]
    assert bench.exit("p/0", "shutdown") == ["expected p/01", "retire p/0", "forget p/0"]
    assert bench.exit("p/2", "shutdown") == ["expected p/21", "retire p/2", "forget p/2", "answer 1 start_failed"]
    assert "no" in bench.said(c.Answer).detail
    assert bench.states() == {"a": "running"}


def test_a_pool_without_room_is_refused_whole():
    """Nothing of it is started."""
    bench = Bench("a", max_children=3).boot()
    assert bench.send(pool_asked(1)) == ["answer 1 max_children"]
    assert bench.send(pool_asked(2, size=2))[:2] == ["add p/0", "add p/1"]


@pytest.mark.parametrize("taken", ["a", "p"])
def test_the_name_of_a_spec_is_one_name_for_children_and_pools(taken):
    """A pool cannot have the name of a child, nor a child that of a pool."""
    bench = Bench("a").boot()
    bench.send(pool_asked(1))
    assert bench.send(pool_asked(2, taken)) == ["answer 2 already_started"]
    assert bench.send(StartAsked(3, ChildTerms(name=taken), taken)) == ["answer 3 already_started"]


def test_one_more_member_joins_an_existing_pool():
    """A start without the name of a spec asks for that one process."""
    bench = Bench("a").boot()
    bench.send(pool_asked(1, size=2))
    assert bench.send(StartAsked(2, ChildTerms(name="p/2", pool="p"))) == ["add p/2", "start p/21"]
    assert bench.exit("p/2") == ["leave_down p/21", "retire p/2", "forget p/2", "answer 2 start_failed"]
    assert bench.states() == {"a": "running", "p/0": "starting", "p/1": "starting"}


@pytest.mark.parametrize("ready", [True, False])
def test_a_start_is_undone(ready):
    """What it has added is stopped and deleted, whether it is ready or not; no other child is touched."""
    bench = Bench("a").boot()
    bench.send(pool_asked(1, size=2))
    started = [] if ready else ["answer 1 start_failed"]
    if ready:
        bench.ready("p/0")
        bench.ready("p/1")
    assert bench.send(UndoAsked(2, 1)) == [*started, "stop p/11", "stop p/01"]
    assert bench.exit("p/1", "shutdown") == ["expected p/11", "retire p/1", "forget p/1"]
    assert bench.exit("p/0", "shutdown") == ["expected p/01", "retire p/0", "forget p/0", "answer 2 ok"]
    assert bench.states() == {"a": "running"}
    assert bench.send(UndoAsked(3, 1)) == ["answer 3 ok"]


def test_a_start_is_undone_while_its_siblings_restart():
    """The restart goes on without what the call had added."""
    bench = Bench("a", strategy=ALL).boot()
    bench.send(StartAsked(1, ChildTerms(name="b"), "b"))
    assert bench.exit("a") == ["restart a1", "stop b1"]
    assert bench.send(UndoAsked(2, 1)) == ["answer 1 start_failed"]
    gone = ["expected b1", "retire b", "forget b", "answer 2 ok"]
    assert bench.exit("b", "shutdown") == [*gone, "start a2"]
    assert bench.ready("a") == ["ready a2"]
    assert bench.machine.phase is SupervisorState.RUNNING


def test_the_end_of_the_supervisor_answers_who_waits_for_an_undone_start():
    """Once."""
    bench = Bench("a").boot()
    bench.send(pool_asked(1))
    assert "answer 1 start_failed" in bench.send(UndoAsked(2, 1))
    assert bench.send(StopRequested()) == ["answer 2 ok"]


# -- a supervisor that may be started again --------------------------------------------------------------


def test_the_end_of_a_nested_supervisor_leaves_its_mailboxes_open():
    """They are closed when the supervisor above starts it no more; those of children that were down already are not."""
    bench = Bench("a", ChildTerms(name="b", restart=TRANSIENT), nested=True).boot()
    assert bench.exit("b", "normal") == ["leave_down b1", "retire b"]
    assert bench.send(StopRequested()) == ["stop a1"]
    assert bench.exit("a", "shutdown") == ["expected a1", "terminate shutdown"]
    assert bench.send(RetireAsked("no more")) == ["retire a"]
    assert bench.said(c.CloseMailbox).because == "no more"
    assert bench.send(RetireAsked("again")) == []
