"""Gathering: what is known of one child at this moment, for `why`.

Runs on the loop's thread; waits for nothing.
"""

from __future__ import annotations

from typing import Any

from actors.exits import ExitKind
from actors.jobs.jobs import Jobs
from supervisor.clock import machine_time
from supervisor.control.look.history import Death, History
from supervisor.control.look.samples import Samples
from supervisor.control.look.why.facts import Exit, Facts, Limits, Queue
from supervisor.control.look.words import brief
from supervisor.core.rules.states import ChildState
from supervisor.core.tree.commands import Decision, ReportExit, StartChild, StopChild
from supervisor.durable.durability import failure_of
from supervisor.durable.mailbox import DurableMailbox
from supervisor.mailbox.mailbox import Mailbox
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot


def facts_of(node: ChildSnapshot | SupervisorSnapshot, engine: Engine, history: History, samples: Samples) -> Facts:
    """The facts of one child.

    Args:
        node: its snapshot.
        engine: of its supervisor.
        history: of the tree.
        samples: of the tree.
    """
    child = engine.children[node.name]
    now = engine.tree.loop.time()
    deaths = history.deaths(node.path)
    program = isinstance(node, ChildSnapshot) and node.kind == "command"
    started, stopping, held = None, None, 0
    if deaths or node.state in (ChildState.STARTING, ChildState.STOPPING):
        started, stopping, held = _from_journal(engine, node, now)
    return Facts(
        node=node,
        supervisor=engine.path,
        phase=engine.machine.phase,
        allowed=engine.spec.intensity.max_restarts,
        period=engine.spec.intensity.period,
        held=held,
        limits=_limits(child.spec),
        exits=tuple(_exit(death, program=program) for death in deaths),
        started_ago=started,
        stopping_ago=stopping,
        queue=_queue(child, node.name) if isinstance(child, ActorChild) else Queue(),
        trend=samples.trend(node.path),
        asked=engine.tree.waits.waited_for(child.mailbox.path) if isinstance(child, ActorChild) else (),
        senders=len(child.mailbox.capacity.line) if isinstance(child, ActorChild) else 0,
        waits_for=_first_starting(engine) if node.state is ChildState.STOPPED else None,
        awaits="" if isinstance(node, SupervisorSnapshot) else node.awaits,
        drains=engine.tree.registry.drained(node.path),
        runs_jobs=isinstance(child, ActorChild) and issubclass(child.spec.actor, Jobs),
        unstored=_unstored(child.mailbox) if isinstance(child, ActorChild) else "",
    )


def _queue(child: ActorChild, name: str) -> Queue:
    """The queue of a process. In a pool, a few that the others have and have not begun are not counted as waiting."""
    mailbox = child.mailbox
    consumers = mailbox.consumers
    if name not in consumers.names:  # it is down for good, and the others of its pool have its messages
        return Queue(first=False)
    queue, life = consumers.queue_of(name), consumers.holding(name)
    begun = 0 if life is None else len(life.progress().active)
    ended, waiting = consumers.handled(name), queue.queued + max(0, queue.flights.count(name) - begun)
    if consumers.shared_queue is None and len(consumers.names) > 1:
        longest = queue.unsettled >= max(other.unsettled for other in consumers.queues.values())
        return Queue(depth=queue.unsettled, waiting=waiting, ended=ended, longest=longest, by=child.spec.routing)
    return Queue(
        depth=mailbox.depth,
        waiting=waiting + mailbox.depth - consumers.depth,  # and what is in the store only
        ended=ended,
        takers=len(consumers.names),
        first=name == (child.pool.first or name),
    )


def _unstored(mailbox: Mailbox) -> str:
    """What is wrong with the store of a mailbox; empty where nothing is."""
    if not isinstance(mailbox, DurableMailbox):
        return ""
    stored = mailbox.stored
    error = stored.writing.error or stored.reading.error or failure_of(stored.store)
    return "" if error is None else str(error)


def _first_starting(engine: Engine) -> str | None:
    """Path of the first child of a supervisor that starts, None when none does."""
    starting = (view.name for view in engine.machine.children() if view.state is ChildState.STARTING)
    first = next(starting, None)
    return None if first is None else f"{engine.path}/{first}"


def _from_journal(
    engine: Engine, node: ChildSnapshot | SupervisorSnapshot, now: float
) -> tuple[float | None, float | None, int]:
    """Seconds since the current life was begun, and asked to stop; how many restarts counted after the last death."""
    started = stopping = None
    held = 0
    for entry in reversed(engine.journal.entries()):
        for command in entry.commands:
            match command:
                case StartChild(child=node.name, life=node.life) if started is None:
                    started = now - entry.now
                case StopChild(child=node.name, life=node.life) if stopping is None:
                    stopping = now - entry.now
                case ReportExit(child=node.name) if not held:
                    held = command.restarts if now - entry.now <= engine.spec.intensity.period else -1
        if started is not None and held:
            break
    return started, stopping, max(0, held)


def _exit(death: Death, *, program: bool) -> Exit:
    report = death.report
    return Exit(
        ago=machine_time() - death.at,
        reason=brief(report.reason),
        early=report.reason.kind is ExitKind.UNSTARTED,
        message=report.last_message if report.last_message_begun else None,
        decision=Decision(report.decision),
        because=report.because,
        out_of_memory=bool(report.out_of_memory),
        node=report.node or "",
        wrote=death.wrote if program else "",
    )


def _limits(spec: Any) -> Limits:
    """The limits of whatever kind of spec."""
    return Limits(
        start_timeout=getattr(spec, "start_timeout", None),
        shutdown=spec.shutdown,
        handler_timeout=getattr(spec, "handler_timeout", None),
        max_rss=getattr(spec, "max_rss", None),
        mailbox=getattr(spec, "mailbox", None),
        overflow=str(getattr(spec, "overflow", "")),
        size=getattr(spec, "size", 1),
    )
