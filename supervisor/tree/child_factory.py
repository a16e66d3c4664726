"""Child factory: makes the children of a supervisor, each by the kind of its spec.

Runs on the loop's thread.
"""

from __future__ import annotations

from actors.protocol import protocol_of
from supervisor.core.delivery.routing import Router
from supervisor.kinds.factory import lone_child
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.shared import TreeContext
from supervisor.specs import AnySpec, ChildSpec, SupervisorSpec
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.child import Child, Post
from supervisor.tree.pool_desk import PoolDesk
from supervisor.tree.subtree import Subtree


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
        self._desks: dict[str, PoolDesk] = {}  # by the name of the spec

    def __call__(self, spec: AnySpec, name: str) -> Child:
        """See `MakeChild`."""
        path = f"{self._supervisor}/{name}"
        match spec:
            case SupervisorSpec():
                return Subtree(path, spec, self._tree, self._post, ChildFactory)
            case ChildSpec():
                return ActorChild(self._supervisor, name, self._desk(spec, name), self._tree, self._post)
            case _:
                return lone_child(spec, path, self._tree, self._post)

    def _desk(self, spec: ChildSpec, name: str) -> PoolDesk:
        """What the new member shares with the others; it is one of them from now on."""
        desk = self._desks.get(spec.name)
        if desk is None or not desk.members:  # an empty one is of a spec that was deleted
            desk = self._desks[spec.name] = PoolDesk(self._mailbox(spec), spec)
        desk.members.add(name)
        return desk

    def _mailbox(self, spec: ChildSpec) -> Mailbox:
        """The mailbox of a spec: the one that a former engine of this supervisor left, or a new one."""
        path = f"{self._supervisor}/{spec.name}"
        registry, reports = self._tree.registry, self._tree.reports
        mailbox = registry.get(path)
        if mailbox is None:
            mailbox = Mailbox(
                path,
                protocol_of(spec.actor),
                capacity=spec.mailbox,
                capacity_bytes=spec.mailbox_bytes,
                overflow=spec.overflow,
                max_message_bytes=spec.max_message_bytes,
                max_deliveries=spec.max_deliveries,
                members=spec.members(),
                router=Router(spec.routing, spec.key),
                on_dead_letter=reports.message_dead_lettered,
                resolve=registry.ref,
                stop_reason=lambda: self._tree.stop_reason,
            )
            registry.add(path, mailbox)
        return mailbox
