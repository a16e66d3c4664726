"""Traces: the W3C trace context of a message, as one text: `traceparent`, and behind a space `tracestate`. Pure.

Both sides pass it on as it is. Only `supervisor.tracing`, and the OpenTelemetry API in an actor's process, read more of
it than whether it is sampled.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_TRACE: Final = 1024  # characters; the standard asks for 512 of tracestate
_FLAGS: Final = 54  # where the last digit of the flags is
_ODD: Final = frozenset("13579bdf")

Trace = Annotated[str, msgspec.Meta(max_length=MAX_TRACE)]


def is_sampled(trace: str) -> bool:
    """Whether spans of that trace are recorded."""
    return trace[_FLAGS : _FLAGS + 1] in _ODD


def carrier_of(trace: str) -> dict[str, str]:
    """A trace context as headers."""
    parent, _, state = trace.partition(" ")
    return {"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}


def text_of(carrier: dict[str, str]) -> str | None:
    """Headers as a trace context; None without any. A `tracestate` that is too long is left out."""
    parent, state = carrier.get("traceparent"), carrier.get("tracestate")
    if parent is None or not state or len(parent) + 1 + len(state) > MAX_TRACE:
        return parent
    return f"{parent} {state}"
