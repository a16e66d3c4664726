"""Children: finding the actors of a tree, and changing its children at run time.

Runs on the thread of the event loop that entered the tree, but for looking up a ref.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.bounds import shown
from actors.errors import UsageError
from actors.lazy import LazyModule
from actors.ref import ActorRef
from supervisor.jobs.jobs_ref import JobsRef
from supervisor.messaging.no_methods import without_methods
from supervisor.messaging.registry import absolute
from supervisor.root.lifecycle import Lifecycle
from supervisor.specs import AnySpec

if TYPE_CHECKING:
    from supervisor.tree import child_management, look, snapshot
else:
    child_management = LazyModule("supervisor.tree.child_management")
    look = LazyModule("supervisor.tree.look")
    snapshot = LazyModule("supervisor.tree.snapshot")


class Children(Lifecycle):
    """The actors and children of a tree."""

    def __getitem__(self, name: str) -> JobsRef:
        """The ref of an actor: a name under this supervisor (`"indexer"`, `"parsers/parser"`) or a full path.

        Its `run` and `map` are for pools of `Jobs`. Callable from any thread.

        Raises:
            NoSuchActor: no actor has it; the text lists similar names.
            UsageError: it is not a name.
        """
        if self._engine is None:
            raise self._not_started()
        if not isinstance(name, str):
            raise UsageError(f"{self.path} finds actors by name: root['indexer']; {shown(name)} is not a str")
        mailbox = self._tree.registry.find(absolute(self.path, name))
        actor, refs_to = mailbox.protocol.actor, self._tree.refs_to
        make: Callable[..., JobsRef] = without_methods(JobsRef, actor) if refs_to is None else refs_to(actor)
        return make(mailbox, self._tree.preload)

    def ref(self, path: str) -> JobsRef:
        """The same as `root[path]`."""
        return self[path]

    async def start_child(self, spec: AnySpec, *, under: str = "") -> str:
        """Add a child and start it; returns its path when it is ready.

        Args:
            spec: of the child. It is dropped when its own supervisor is restarted (OTP).
            under: name of the supervisor it goes under, `"parsers"`; the root when empty.

        Raises:
            InvalidSpec: the spec cannot work.
            UsageError: the program would start itself again in its process.
            StartFailed: it did not become ready; the spec is discarded.
            asyncio.CancelledError: the call was cancelled, and the start is undone: the child is stopped and its spec
                discarded before this comes out. A second cancellation does not wait for that.
            SupervisorBusy: already_started, already_present, max_children, restarting or stopping, see `answer`.
            NoSuchChild: there is no supervisor of that name.
            StoreError: what the store has of a durable actor cannot be read, or is not stored yet. Nothing was started.
        """
        return await child_management.start(self._engine_now(), spec, under)

    async def terminate_child(self, name: str | ActorRef) -> None:
        """Stop a child (a pool: all its members); its spec stays, a temporary child's goes. Returns when it is down.

        What waits in its mailbox becomes dead letters; of one process of a pool it is for the others.

        Raises:
            NoSuchChild: there is none of that name.
            SupervisorBusy: the supervisor is stopping, or is restarting several children.
        """
        await child_management.terminate(self._engine_now(), path_of(name))

    async def restart_child(self, name: str | ActorRef) -> None:
        """Start a child that is down; returns when it is ready.

        Raises:
            NoSuchChild: there is none of that name.
            StartFailed: it did not become ready.
            SupervisorBusy: running, restarting or stopping, see `answer`.
        """
        await child_management.change(self._engine_now(), path_of(name), child_management.restart)

    async def delete_child(self, name: str | ActorRef) -> None:
        """Delete the spec of a child that is down.

        Raises:
            NoSuchChild: there is none of that name.
            SupervisorBusy: running, restarting or stopping, see `answer`.
        """
        await child_management.change(self._engine_now(), path_of(name), child_management.delete)

    async def recycle(self, name: str | ActorRef) -> None:
        """Replace the process of an actor by its next life, and no call fails; of a pool, one member after the other.

        The next life is started first. When it is ready, the old one finishes its message and stops, and the next one
        serves; `overlap=False` in the spec stops the old one first. Returns when a life that began after the call
        serves and the old one is over. Cancelled, it leaves the replacement under way as it is. Of a pool, members that
        start come last; those that are down are passed over: their next life is new anyway.

        Raises:
            NoSuchChild: there is no actor of that name.
            StartFailed: the next life did not become ready, and the old one serves on; or the child ended meanwhile.
            SupervisorBusy: the child is down, or its supervisor is starting, stopping or restarting several
                children; see `answer`.
        """
        await child_management.recycle(self._engine_now(), path_of(name))

    async def resize(self, name: str | ActorRef, size: int) -> None:
        """Give a pool (or a single actor) another number of processes; returns when they are ready, or down.

        Living members are kept; members that are down for good are started again before new ones are added, and go
        first when the pool shrinks. Nothing is lost: a member that is removed finishes its message, and its waiting
        messages go to the others.

        Raises:
            InvalidSpec: the size is not a whole number of at least 1.
            NoSuchChild: there is no actor of that name.
            StartFailed: a new member did not become ready; the others are there.
            SupervisorBusy: the supervisor is stopping, or is restarting several children.
        """
        await child_management.resize(self._engine_now(), path_of(name), size)

    def which_children(self, under: str = "") -> tuple[snapshot.ChildInfo, ...]:
        """The children of a supervisor (the root when `under` is empty), in the order of their start."""
        return look.children_of(child_management.engine_at(self._engine_now(), under))

    def count_children(self, under: str = "") -> snapshot.ChildCounts:
        """How many children a supervisor has."""
        return look.count_of(child_management.engine_at(self._engine_now(), under))


def path_of(name: str | ActorRef) -> str:
    """The name or path of a child as text.

    Raises:
        UsageError: it is neither a name nor a ref.
    """
    if isinstance(name, ActorRef):
        return name.path
    if not isinstance(name, str):
        raise UsageError(f"a child is named by a text or a ref: 'indexer', root['indexer']; it is {shown(name)}")
    return name
