"""Child factory: makes the children of a supervisor, each by the kind of its spec.

Runs on the loop's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from actors.jobs.jobs import Jobs
from actors.lazy import LazyModule
from actors.protocol.protocol import protocol_of
from supervisor.core.delivery.routing import Router
from supervisor.mailbox.mailbox import Mailbox, MailboxTerms
from supervisor.messaging.tree_context import TreeContext
from supervisor.specs import AnySpec, ChildSpec, SupervisorSpec
from supervisor.system.descriptor_limit import ahead_of
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.child import Child, Post
from supervisor.tree.pool import Pool
from supervisor.tree.subtree import Subtree

if TYPE_CHECKING:
    from supervisor.kinds import factory
else:
    factory = LazyModule("supervisor.kinds.factory")


class ChildFactory:
    """Makes the children of one supervisor.

    Args:
        supervisor: path of the supervisor.
        tree: what it shares with the rest of the tree.
        post: where the events of its children go.
    """

    def __init__(self, supervisor: str, tree: TreeContext, post: Post) -> None:
        self._supervisor = supervisor
        self._tree = tree
        self._post = post
        self._pools: WeakValueDictionary[str, Pool] = WeakValueDictionary()  # by their spec's name

    def __call__(self, spec: AnySpec, name: str) -> Child:
        """See `MakeChild`."""
        path = f"{self._supervisor}/{name}"
        match spec:
            case SupervisorSpec():
                return Subtree(path, spec, self._tree, self._post, ChildFactory)
            case ChildSpec():
                return ActorChild(self._supervisor, name, self._pool(spec, name), self._tree, self._post)
            case _:
                return factory.lone_child(spec, path, self._tree, self._post)

    def _pool(self, spec: ChildSpec, name: str) -> Pool:
        """What the new member shares with the others; it is one of them from now on."""
        pool = self._pools.get(spec.name)
        if issubclass(spec.actor, Jobs):
            from supervisor.jobs import job_map, job_run  # noqa: F401, PLC0415 - before the first job, which would wait
        if pool is None or not pool.members:  # an empty one is of a spec that was deleted
            pool = Pool(self._mailbox(spec), spec, self._tree.launcher_at(spec.place))
            self._pools[spec.name] = pool
        pool.add(name)
        return pool

    def _mailbox(self, spec: ChildSpec) -> Mailbox:
        """The mailbox of a spec: the one that a former engine of this supervisor left, or a new one."""
        path = f"{self._supervisor}/{spec.name}"
        registry, reports = self._tree.registry, self._tree.reports
        mailbox = registry.get(path)
        if mailbox is None:
            terms = MailboxTerms(
                capacity=spec.mailbox,
                capacity_bytes=spec.mailbox_bytes,
                overflow=spec.overflow,
                max_message_bytes=spec.max_message_bytes,
                max_deliveries=spec.max_deliveries,
                members=spec.members(),
                most_descriptors=ahead_of(spec.rlimits.get("NOFILE")),
                router=Router(spec.routing, spec.key),
                on_dead_letter=reports.message_dead_lettered,
                resolve=registry.ref,
                path_of=registry.path_of,
                stop_reason=lambda: self._tree.stop_reason,
                clock=self._tree.clock.monotonic,
            )
            if spec.durable and self._tree.durability is not None:
                mailbox = self._tree.durability.mailbox(path, spec, terms)
            else:
                mailbox = Mailbox(path, protocol_of(spec.actor), terms)
                mailbox.intake.share(self._tree.shared)
            registry.add(path, mailbox)
        return mailbox
