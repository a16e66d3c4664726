"""Trace context: contexts of the OpenTelemetry API as texts that travel with messages, and back.

Runs on the loop's thread.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from actors.wire.traces import carrier_of, text_of

_propagator: Final = TraceContextTextMapPropagator()
_NEVER: Final = ("AlwaysOffSampler", "TraceIdRatioBased{0.0}")  # samplers that begin no trace
_PARENT_BASED: Final = "ParentBased{root:"


def text_in(context: Context) -> str | None:
    """The trace context of a message that is sent there; None outside of any trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    return text_of(carrier)


def context_of(text: str | None) -> Context:
    """What the API takes as the parent of a span."""
    return Context() if text is None else _propagator.extract(carrier_of(text), Context())


def begins_traces(provider: trace.TracerProvider) -> bool:
    """Whether a span without a parent may be recorded; False where that is certain not to be so."""
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return False  # the application has set up no SDK
    sampler = getattr(provider, "sampler", None)
    if sampler is None:
        return True
    described = str(sampler.get_description())
    if described.startswith(_PARENT_BASED):
        described = described.removeprefix(_PARENT_BASED).partition(",")[0]
    return described not in _NEVER
