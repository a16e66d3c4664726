"""Tracing: a tree's messages as spans of OpenTelemetry. Extra `[tracing]`.

    from supervisor.tracing import instrument

    instrument(root)

The W3C context of the sender travels with each message, also from actor to actor. The daemon makes the spans: `send`,
`queue` and `handle` of a message. A handler that was killed has its span, with the cause of the death.
`docs/how-to/tracing.md` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final
from weakref import WeakSet

from actors.actor import Actor
from actors.bounds import shown
from actors.errors import UsageError
from supervisor.jobs.jobs_ref import JobsRef
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.no_methods import without_methods
from supervisor.messaging.tree_context import TreeContext
from supervisor.supervisor import Supervisor

try:
    from opentelemetry.trace import TracerProvider, get_tracer_provider

    from supervisor.telemetry.message_spans import MessageSpans
    from supervisor.telemetry.traced_ref import TracedRef
    from supervisor.telemetry.tree_spans import TreeSpans
except ImportError as error:
    raise ImportError(
        "supervisor.tracing needs opentelemetry-api, which is not installed: pip install 'actor-supervisor[tracing]'"
    ) from error

__all__ = ["instrument"]

_traced: Final[WeakSet[Supervisor]] = WeakSet()


def instrument(root: Supervisor, *, tracer_provider: TracerProvider | None = None) -> None:
    """Trace the messages of a tree from now on.

    Call it once: before the tree is entered, or later on the loop's thread. If it is called later, refs that were taken
    before make no spans, and processes that run already have no current context for the OpenTelemetry API.

    Args:
        root: the tree.
        tracer_provider: makes the spans; None for the one that the application has set with
            `opentelemetry.trace.set_tracer_provider`, which must be there now.

    Raises:
        UsageError: it is no tree, or is traced already.
    """
    if not isinstance(root, Supervisor):
        raise UsageError(f"instrument takes the Supervisor of a tree: instrument(root); it was given {shown(root)}")
    if root in _traced:
        raise UsageError(f"{root.path} is traced already: call instrument(root) once")
    _traced.add(root)
    root.with_tree(partial(_begin, get_tracer_provider() if tracer_provider is None else tracer_provider))


def _begin(provider: TracerProvider, tree: TreeContext) -> None:
    spans = TreeSpans(provider, tree.clock)
    tree.tracing = spans

    def refs_to(actor: type[Actor]) -> Callable[..., JobsRef]:
        return partial(without_methods(TracedRef, actor), spans)

    tree.refs_to = refs_to

    def trace(mailbox: Mailbox) -> None:
        mailbox.trace_with(MessageSpans(spans, mailbox))

    tree.registry.each(trace)
