"""Spans: the trace context of the message being handled as the OpenTelemetry API's current context.

A span that an actor's code begins in a handler belongs to the message's trace, and what it sends inside of that span
belongs to the span. Only in trees that are traced, and only once the actor's code has imported `opentelemetry.trace`:
nothing is imported here.

Runs in the actor's process, in the thread, and in the context, of the handlers; `current_context` in the daemon, too.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.wire.traces import carrier_of, text_of

if TYPE_CHECKING:
    from opentelemetry.context import Context


class Spans:
    """The current context of the handlers of one life."""

    def __init__(self) -> None:
        self._api: Any = None  # the module `opentelemetry.context`, once that is imported
        self._current: Callable[[], Any]
        self._propagator: Any
        self._trace: str | None = None  # the last context that was entered, and what it is to the API
        self._context: Any = None

    def enter(self, trace: str | None) -> None:
        """A handler is about to be called, for a message of that trace context."""
        if self._api is None and not self._ready():
            return
        api = self._api
        if trace != self._trace or self._context is None:
            nothing = api.Context()
            self._trace = trace
            self._context = nothing if trace is None else self._propagator.extract(carrier_of(trace), nothing)
        if self._current() is not self._context:  # most often it is there since the message before
            api.attach(self._context)

    def current(self, handled: str | None) -> str | None:
        """The trace context of what the caller sends; `handled` is that of the message which it handles."""
        if not self._ready():
            return handled
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return text_of(carrier) or handled

    def _ready(self) -> bool:
        """Whether the actor's code has imported the API."""
        if self._api is None and "opentelemetry.trace" in sys.modules:
            from opentelemetry import context  # noqa: PLC0415 - see above
            from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - see above

            self._api, self._current = context, current_context()
            self._propagator = tracecontext.TraceContextTextMapPropagator()
        return self._api is not None


def current_context() -> Callable[[], Context]:
    """What returns the current context. Imports the API.

    It is the `get` of the variable that holds the context, where that is one: it costs a quarter of `get_current`.
    """
    from opentelemetry.context import Context, attach, detach, get_current  # noqa: PLC0415 - an extra

    marked = Context({"actors": object()})
    token = attach(marked)
    try:
        variables = [variable for variable, value in contextvars.copy_context().items() if value is marked]
    finally:
        detach(token)
    return variables[0].get if len(variables) == 1 else get_current
