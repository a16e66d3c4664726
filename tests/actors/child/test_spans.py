"""The current context of the OpenTelemetry API in handlers, without a process."""

from __future__ import annotations

import contextvars

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import context, trace

from actors.child.spans import Spans

FIRST, SECOND = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


def inside(spans, text):
    """The id of the trace in which the handler of a message of that context runs."""
    spans.enter(text)
    return trace.get_current_span().get_span_context().trace_id


@pytest.mark.parametrize("left", [context.Context(), context.Context({"a": "key"})], ids=["nothing", "something"])
def test_each_message_has_its_own(left):
    """Also behind a handler that has left another context."""
    spans = Spans()

    def handled():
        for text, trace_id in ((FIRST, int("1" * 32, 16)), (SECOND, int("2" * 32, 16)), (None, 0), (None, 0)):
            assert trace_id == inside(spans, text)
            context.attach(left)
            assert trace_id == inside(spans, text)

    contextvars.Context().run(handled)


def test_messages_of_one_trace_attach_once(monkeypatch):
    """A million of them cost one."""
    spans, attached = Spans(), []
    attach = context.attach
    assert 0 == contextvars.Context().run(inside, spans, None)
    monkeypatch.setattr(context, "attach", lambda entered: attached.append(entered) or attach(entered))
    contextvars.Context().run(lambda: [inside(spans, FIRST) for _ in range(3)])
    assert 1 == len(attached)
