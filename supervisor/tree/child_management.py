"""Child management: changes a tree at run time, with OTP's answers.

A request is an event for the machine of one supervisor; its answer becomes a result or an error whose `answer` is
OTP's word.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn

from actors.bounds import shown
from actors.errors import UsageError
from actors.exits import ExitReport
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import Verdict
from supervisor.core.tree.events import AnyEvent
from supervisor.errors import NoSuchChild, StartFailed, SupervisorBusy
from supervisor.kinds.lone_child import LoneChild
from supervisor.spec_validation import check_child, check_places, check_size
from supervisor.specs import AnySpec
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.calls import Call
from supervisor.tree.child import Child
from supervisor.tree.engine import Engine
from supervisor.tree.pool import Pool, Resizing
from supervisor.tree.subtree import Subtree


def engine_at(root: Engine, name: str) -> Engine:
    """The engine of the supervisor of that name under the root; the root's for an empty name.

    Raises:
        NoSuchChild: there is no supervisor of that name, or it is not running.
        UsageError: it is no name.
    """
    if not isinstance(name, str):
        raise UsageError(f"a supervisor is named by a text: under='parsers'; it is {shown(name)}")
    engine = _engine_below(root, _parts(root, name))
    if engine is None:
        raise NoSuchChild(f"{root.path} has no supervisor {name!r} below it")
    return engine


def _parts(root: Engine, name: str) -> list[str]:
    """The names on the way from the root to what is meant: by its name below the root, or by its path."""
    below = "" if name == root.path else name.removeprefix(f"{root.path}/")
    return below.split("/") if below else []


def _engine_below(root: Engine, parts: Sequence[str]) -> Engine | None:
    engine = root
    for part in parts:
        child = engine.children.get(part)
        if not isinstance(child, Subtree):
            return None
        engine = child.engine
    return engine


async def start(root: Engine, spec: AnySpec, under: str) -> str:
    """Add a child and start it; returns its path. See `Supervisor.start_child`."""
    engine = engine_at(root, under)
    durability = engine.tree.durability
    check_child(spec, engine.spec, stored=durability is not None)
    if not engine.tree.clustered:
        check_places(spec)
    if spec.needs_main:
        engine.tree.launcher.check_main()
    if durability is not None and all(terms.name not in engine.children for terms in spec.terms()):  # else refused
        await durability.prepare(spec, f"{engine.path}/{spec.name}")
    call = engine.start_child(spec)
    if durability is not None:
        durability.begun(spec, f"{engine.path}/{spec.name}")
    try:
        answer = await call.answer()
    except asyncio.CancelledError:
        await asyncio.shield(engine.tree.keep(_undo(engine, call)))
        raise
    path = f"{engine.path}/{spec.name}"
    if answer.verdict is not Verdict.OK:
        _refuse(answer, path, engine, call.failure)
    return path


async def _undo(engine: Engine, start: Call) -> None:
    """Stop and delete what a call has added; returns when it is gone."""
    await engine.request(lambda ticket: happened.UndoAsked(ticket, start.ticket)).answer()


async def change(root: Engine, name: str, make: Callable[[int, str], AnyEvent]) -> None:
    """Make the same request for each process of a child: one, or all members of a pool."""
    engine, members = _find(root, name)
    for answer in await _of_each(engine, members, make):
        if answer.verdict is not Verdict.OK:
            _refuse(answer, name, engine)


async def terminate(root: Engine, name: str) -> None:
    """Stop each process of a child, in reverse order. See `Supervisor.terminate_child`.

    One that is not there any more has gone with another: the start of both was still awaited, and is undone.
    """
    engine, members = _find(root, name)
    for answer in await _of_each(engine, members[::-1], happened.TerminateAsked):
        if answer.verdict not in (Verdict.OK, Verdict.NOT_FOUND):
            _refuse(answer, name, engine)


async def resize(root: Engine, name: str, size: int) -> None:
    """Give a pool another size. See `Supervisor.resize`."""
    check_size(size)
    engine, members = _find(root, name)
    child = engine.children[members[0]]
    if not isinstance(child, ActorChild):
        raise NoSuchChild(f"{name} is a {_kind(child)}; only an actor or a pool has a size")
    pool = child.pool
    resizing = pool.resized(size)
    pool.leaving.update(resizing.remove)
    try:
        await _resize(engine, name, pool, resizing)
    finally:
        pool.leaving.difference_update(resizing.remove)


async def _resize(engine: Engine, name: str, pool: Pool, resizing: Resizing) -> None:
    for answer in await _each(engine.resize(pool.spec, resizing)):
        if answer.verdict is not Verdict.OK:
            _refuse(answer, name, engine)
    surplus = [member for member in resizing.remove if member in pool.retired and member in engine.children]
    await _each([engine.request(_deleting(member)) for member in surplus])


async def recycle(root: Engine, name: str) -> None:
    """Replace each process of a child by its next life, one after the other. See `Supervisor.recycle`."""
    engine, members = _find(root, name)
    child = engine.children[members[0]]
    if not isinstance(child, ActorChild):
        raise NoSuchChild(f"{name} is a {_kind(child)}; only an actor or a pool is recycled")
    passed_over = None
    recycled = 0
    for member in sorted(members, key=lambda one: engine.machine.state(one) is ChildState.STARTING):
        answer = await engine.request(_recycling(member)).answer()
        if answer.verdict is Verdict.OK:
            recycled += 1
        elif answer.verdict is Verdict.START_FAILED or engine.machine.phase is not SupervisorState.RUNNING:
            _refuse(answer, name, engine)
        else:
            passed_over = passed_over or answer  # it does not run: its next life is a new one anyway
    if passed_over is not None and not recycled:
        _refuse(passed_over, name, engine)


def path_of(root: Engine, name: str) -> str:
    """The path of a child, a pool included.

    Raises:
        NoSuchChild: there is none of that name.
    """
    engine, members = _find(root, name)
    return f"{engine.path}/{engine.children[members[0]].spec.name}"


def _kind(child: Child) -> str:
    return child.kind if isinstance(child, LoneChild) else "supervisor"


def _recycling(member: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.RecycleCalled(ticket, member)


def _deleting(member: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.DeleteAsked(ticket, member)


def restart(ticket: int, child: str) -> AnyEvent:
    """The event of `restart_child`."""
    return happened.RestartAsked(ticket, child)


def delete(ticket: int, child: str) -> AnyEvent:
    """The event of `delete_child`."""
    return happened.DeleteAsked(ticket, child)


async def _of_each(engine: Engine, members: Sequence[str], make: Callable[[int, str], AnyEvent]) -> list[do.Answer]:
    """Make a request for each process."""
    return await _each([engine.request(lambda ticket, who=who: make(ticket, who)) for who in members])  # type: ignore[misc]


async def _each(calls: Sequence[Call]) -> list[do.Answer]:
    return [await call.answer() for call in calls]


def _find(root: Engine, name: str) -> tuple[Engine, list[str]]:
    """The supervisor of a child, and the names of the child's processes there."""
    parts = _parts(root, name)
    for split in range(len(parts) - 1, -1, -1):
        engine = _engine_below(root, parts[:split])
        members = [] if engine is None else _processes(engine, "/".join(parts[split:]))
        if engine is not None and members:
            return engine, members
    inner = "/".join(parts)
    elsewhere = [f"{path}/{inner}" for path in _with_child(root, inner)][:3]
    hint = f"did you mean {' or '.join(elsewhere)}?" if elsewhere else "which_children() lists them"
    raise NoSuchChild(f"{root.path} has no child {inner!r}; {hint}")


def _with_child(engine: Engine, name: str) -> Iterator[str]:
    """The paths of the supervisors that have a child of this name, from the top down."""
    if _processes(engine, name):
        yield engine.path
    for child in engine.children.values():
        if isinstance(child, Subtree):
            yield from _with_child(child.engine, name)


def _processes(engine: Engine, name: str) -> list[str]:
    """The processes that the engine has under a name: one process, a supervisor, or all members of a pool."""
    return [key for key, child in engine.children.items() if name in (key, child.spec.name)]


def _refuse(answer: do.Answer, name: str, engine: Engine, failure: ExitReport | None = None) -> NoReturn:
    text = _sentence(answer, name, engine.path)
    if answer.verdict is Verdict.NOT_FOUND:
        raise NoSuchChild(text)
    if answer.verdict is Verdict.START_FAILED:
        report = failure or engine.last_failure
        raise StartFailed(text, report)
    raise SupervisorBusy(text, answer=answer.verdict.value)


_NAMES_A_CHILD: Final = re.compile(r"(?:child )?'([^']+)' ")


def _sentence(answer: do.Answer, name: str, supervisor: str) -> str:
    """What a supervisor answers, as a sentence about the child's path; about `name` where it names no child."""
    child = _NAMES_A_CHILD.match(answer.detail)
    if child is None:
        return f"{name}: {answer.detail or answer.verdict.value}"
    return f"{supervisor}/{child[1]} {answer.detail[child.end() :]}"
