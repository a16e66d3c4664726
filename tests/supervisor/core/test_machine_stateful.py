"""The machine's laws, checked over random supervisors, random calls and a world in which everything goes wrong."""

import math

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules import policy
from supervisor.core.rules.states import ALIVE, ChildState, SupervisorState
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
    StartAsked,
    StopRequested,
    TerminateAsked,
    Timer,
    TimerFired,
    TimerKind,
)
from supervisor.core.tree.machine import SupervisorMachine
from tests.support.long import often

NAMES = "abcdefgh"
ENDING = {SupervisorState.STOPPING, SupervisorState.STOPPED}

kinds = st.sampled_from(ExitKind)
rolls = st.sampled_from([0.0, 0.5, 0.999])
backoffs = st.builds(
    Backoff,
    initial=st.sampled_from([0.0, 0.1, 1.0]),
    cap=st.sampled_from([1.0, 4.0]),
    jitter=st.sampled_from([0.0, 0.2]),
    healthy_after=st.sampled_from([None, 0.5]),
)


def terms_named(name):
    return st.builds(
        ChildTerms,
        name=st.just(name),
        restart=st.sampled_from(RestartPolicy),
        shutdown=st.sampled_from([0.0, 5.0, math.inf]),
        start_timeout=st.sampled_from([3.0, 30.0, math.inf]),
        significant=st.booleans(),
        backoff=backoffs,
    )


def acceptable(rule_, terms):
    """The same terms, made fit for a supervisor with this rule of auto_shutdown."""
    if policy.refusal(rule_, terms):
        return ChildTerms(**{f: getattr(terms, f) for f in terms.__struct_fields__} | {"significant": False})
    return terms


class Supervision(RuleBasedStateMachine):
    """A world that does what the machine says, and dies as it likes."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.journal = []
        self.alive = {}  # child -> life
        self.last_life = {}  # child -> the number of its latest life; forgotten with it
        self.timers = {}  # timer -> due
        self.past_timers = []
        self.open_tickets = set()
        self.tickets = 0
        self.stopped_by_call = set()
        self.down_for_good = set()
        self.killed = set()
        self.recycled = set()
        self.over = False

    @initialize(
        strategy=st.sampled_from(Strategy),
        intensity=st.builds(Intensity, st.sampled_from([None, 0, 1, 3, 3, 10]), st.sampled_from([1.0, 5.0])),
        auto_shutdown=st.sampled_from(AutoShutdown),
        start=st.sampled_from(["ordered", "ordered", "parallel"]),
        max_children=st.sampled_from([None, 6]),
        children=st.integers(1, 6).flatmap(lambda n: st.tuples(*[terms_named(name) for name in NAMES[:n]])),
        boot=st.integers(0, 9),
    )
    def begin(self, strategy, intensity, auto_shutdown, start, max_children, children, boot):
        self.terms = SupervisorTerms(
            strategy=strategy,
            intensity=intensity,
            auto_shutdown=auto_shutdown,
            start=start,
            max_children=max_children,
        )
        self.static = tuple(acceptable(auto_shutdown, child) for child in children)
        self.machine = SupervisorMachine(self.terms, self.static)
        self.policies = {child.name: child.restart for child in self.static}
        if boot:
            self.send(Boot())

    # -- the world ---------------------------------------------------------------------------------------------

    def send(self, event):
        """Tell the machine, check what it says, and do it."""
        order = [view.name for view in self.machine.children()]
        said = self.machine.handle(self.now, event)
        self.journal.append((self.now, event, said))
        assert not self.over or all(isinstance(x, c.Answer) for x in said), "only answers follow Terminate"
        reports = [x for x in said if isinstance(x, c.ReportExit)]
        assert len(reports) == (1 if isinstance(event, ChildExited) else 0), "one report per death"
        for index, command in enumerate(said):
            self.obey(command, event, order, said[index:])
        self.check()
        return said

    def obey(self, command, event, order, rest):
        match command:
            case c.StartChild(child, life):
                assert child not in self.alive, "never two lives"
                if isinstance(event, StartAsked):
                    self.policies[child] = event.terms.restart
                assert life == self.last_life.get(child, 0) + 1, "lives are counted from 1"
                again = isinstance(event, ChildExited) and event.child == child and child in self.recycled
                temporary = self.policies[child] is RestartPolicy.TEMPORARY
                assert life == 1 or again or not temporary, "temporary: one life, unless it is recycled"
                self.recycled.discard(child)
                assert self.machine.phase not in ENDING, "nothing starts in the end"
                self.alive[child] = self.last_life[child] = life
                self.down_for_good.discard(child)
                self.stopped_by_call.discard(child)
            case c.StopChild(child, life):
                self.check_stop(child, life, event, order, rest)
            case c.KillChild(child, life):
                assert self.alive.get(child) == life, "only the living are killed"
                assert child not in self.killed, "and only once"
                self.killed.add(child)
            case c.SetTimer(timer, after):
                assert timer not in self.timers
                assert 0 <= after < math.inf
                self.timers[timer] = self.now + after
            case c.CancelTimer(timer):
                del self.timers[timer]
                self.past_timers.append(timer)
            case c.CloseMailbox(child):
                assert child not in self.alive, "the living are not retired"
                assert child not in self.down_for_good, "and the others once"
                self.down_for_good.add(child)
            case c.DeleteChild(child):
                assert child in self.down_for_good, "DeleteChild comes after CloseMailbox"
                self.down_for_good.discard(child)
                self.stopped_by_call.discard(child)
                del self.policies[child]
                self.last_life.pop(child, None)
            case c.Answer(ticket):
                self.open_tickets.remove(ticket)
            case c.Terminate():
                assert not self.alive
                assert not self.timers
                assert not self.open_tickets
                assert self.down_for_good == set(self.policies), "everyone was retired"
                assert rest == (command,), "it is the last word"
                self.over = True

    def check_stop(self, child, life, event, order, rest):
        assert self.alive.get(child) == life, "only the living are asked"
        if not isinstance(event, TerminateAsked | RecycleAsked):
            later = order[order.index(child) + 1 :]
            assert not [name for name in later if name in self.alive], "stops go in reverse order of start"
            if self.terms.strategy is Strategy.ONE_FOR_ONE:
                assert self.machine.phase in ENDING, "one_for_one stops no sibling"
        grace = Timer(child, life, TimerKind.GRACE)
        patient = next(v.terms.shutdown for v in self.machine.children() if v.name == child) == math.inf
        assert patient or any(isinstance(x, c.SetTimer) and x.timer == grace for x in rest), "asked: grace runs"

    def check(self):
        """What the machine shows is what the world is."""
        views = self.machine.children()
        assert {view.name for view in views} == set(self.policies)
        assert {view.name for view in views if view.state in ALIVE} == set(self.alive)
        for view in views:
            assert (view.ready_at is not None) <= (view.state in ALIVE)
            if view.state in (ChildState.EXITED, ChildState.BACKOFF):
                assert (view.state is ChildState.EXITED) == (view.name in self.down_for_good)
        for timer in self.timers:
            assert timer.kind is TimerKind.DEADLINE or timer.life == self.last_life[timer.child]

    def ends(self, name, kind, roll=0.0):
        life = self.alive.pop(name)
        self.killed.discard(name)
        self.send(ChildExited(name, life, ExitReason(kind), roll))
        self.recycled.discard(name)

    def fire_next(self):
        timer = min(self.timers, key=lambda t: (self.timers[t], repr(t)))
        self.now = max(self.now, self.timers.pop(timer))
        self.past_timers.append(timer)
        said = self.send(TimerFired(timer))
        if timer.kind in (TimerKind.GRACE, TimerKind.START):
            assert c.KillChild(timer.child, timer.life) in said, "out of time: killed"

    def state(self, name):
        return self.machine.state(name)

    def ask(self, make):
        self.tickets += 1
        self.open_tickets.add(self.tickets)
        self.send(make(self.tickets))

    def pick(self, data, names):
        return data.draw(st.sampled_from(sorted(names)), label="child")

    # -- what may happen ---------------------------------------------------------------------------------------

    @precondition(lambda self: any(self.state(name) is ChildState.STARTING for name in self.alive))
    @rule(data=st.data())
    def becomes_ready(self, data):
        name = self.pick(data, [n for n in self.alive if self.state(n) is ChildState.STARTING])
        assert c.ReportReady(name, self.alive[name]) in self.send(ChildReady(name, self.alive[name]))

    @precondition(lambda self: any(self.state(name) is ChildState.STARTING for name in self.alive))
    @rule()
    def all_become_ready(self):
        for _ in range(20):
            for name in [n for n in self.alive if self.state(n) is ChildState.STARTING]:
                if self.state(name) is ChildState.STARTING:
                    self.send(ChildReady(name, self.alive[name]))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), kind=kinds, roll=rolls)
    def dies(self, data, kind, roll):
        self.ends(self.pick(data, self.alive), kind, roll)

    @precondition(lambda self: any(self.state(name) is ChildState.STOPPING for name in self.alive))
    @rule(data=st.data())
    def complies(self, data):
        name = self.pick(data, [n for n in self.alive if self.state(n) is ChildState.STOPPING])
        self.ends(name, ExitKind.KILLED if name in self.killed else ExitKind.SHUTDOWN)

    @precondition(lambda self: self.timers)
    @rule()
    def time_passes_to_the_next_timer(self):
        self.fire_next()

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def reaches_a_limit(self, data):
        """Recycling asks that life alone, and only while it runs."""
        name = self.pick(data, self.alive)
        runs = self.state(name) is ChildState.RUNNING
        window = self.machine.restarts(self.now)
        said = self.send(RecycleAsked(name, self.alive[name], "a limit"))
        others = [x for x in said if not isinstance(x, c.SetTimer) and x.child != name]
        assert not others
        assert runs or not said
        assert window == self.machine.restarts(self.now)
        if said:
            self.recycled.add(name)

    @rule(share=st.sampled_from([0.1, 0.5, 0.9]))
    def time_passes(self, share):
        until = min([*self.timers.values(), self.now + 10.0])
        self.now += max(0.0, until - self.now) * share

    @rule(data=st.data())
    def start_child(self, data):
        terms = data.draw(st.sampled_from(NAMES).flatmap(terms_named), label="terms")
        self.ask(lambda ticket: StartAsked(ticket, terms))

    @precondition(lambda self: self.policies)
    @rule(data=st.data())
    def terminate_child(self, data):
        name = self.pick(data, self.policies)
        self.stopped_by_call.add(name)
        self.ask(lambda ticket: TerminateAsked(ticket, name))

    @rule(name=st.sampled_from(NAMES))
    def restart_child(self, name):
        self.ask(lambda ticket: RestartAsked(ticket, name))

    @rule(name=st.sampled_from(NAMES))
    def delete_child(self, name):
        self.ask(lambda ticket: DeleteAsked(ticket, name))

    @precondition(lambda self: self.journal and len(self.journal) > 12)
    @rule(deadline=st.sampled_from([None, 0.0, 3.0, math.inf]), kill=st.integers(0, 3), luck=st.integers(0, 4))
    def stop(self, deadline, kill, luck):
        if luck:
            return
        self.send(StopRequested(deadline) if kill else KillRequested())
        if not kill:
            assert self.killed == set(self.alive), "a kill request spares no child"

    @precondition(lambda self: self.last_life or self.past_timers)
    @rule(data=st.data(), kind=kinds)
    def something_stale_arrives(self, data, kind):
        """Former lives, unknown children, timers that fired or were cancelled: no word, no change."""
        events = [ChildReady("unknown", 1), ChildExited("unknown", 1, ExitReason(kind))]
        for name, life in self.last_life.items():
            former = life if name not in self.alive else life - 1
            events += [ChildReady(name, former), ChildExited(name, former, ExitReason(kind))]
            events.append(RecycleAsked(name, former, "a limit"))
        events += [TimerFired(timer) for timer in self.past_timers if timer not in self.timers]
        event = data.draw(st.sampled_from(events), label="stale")
        before = (self.machine.phase, self.machine.children(), self.machine.restarts(self.now))
        assert self.machine.handle(self.now, event) == ()
        assert before == (self.machine.phase, self.machine.children(), self.machine.restarts(self.now))

    # -- what must be true in the end --------------------------------------------------------------------------

    def teardown(self):
        if hasattr(self, "machine"):
            self.converges()
            self.replays()

    def converges(self):
        """When faults cease, everything that should run runs, and nothing is left undone."""
        for _ in range(500):
            starting = [name for name in self.alive if self.state(name) is ChildState.STARTING]
            stopping = [name for name in self.alive if self.state(name) is ChildState.STOPPING]
            if starting:
                self.send(ChildReady(starting[0], self.alive[starting[0]]))
            elif stopping:
                self.ends(stopping[0], ExitKind.SHUTDOWN)
            elif self.timers:
                self.fire_next()
            else:
                break
        else:
            raise AssertionError("it never comes to rest")
        if self.over:
            return
        assert not self.open_tickets
        assert self.machine.phase in (SupervisorState.NEW, SupervisorState.RUNNING)
        if self.machine.phase is SupervisorState.NEW:
            return
        for view in self.machine.children():
            match view.state:
                case ChildState.RUNNING:
                    assert view.name not in self.down_for_good
                case ChildState.STOPPED:
                    assert view.name in self.stopped_by_call
                case ChildState.EXITED:
                    assert view.name in self.down_for_good
                case _:
                    raise AssertionError(f"{view.name} is left {view.state.value}")

    def replays(self):
        """The same events give the same commands."""
        again = SupervisorMachine(self.terms, self.static)
        assert [said for _, _, said in self.journal] == [again.handle(now, event) for now, event, _ in self.journal]


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(
    max_examples=often(50, 500), stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
