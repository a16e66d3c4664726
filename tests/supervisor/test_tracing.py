"""The spans of messages, as the SDK of OpenTelemetry exports them; over kills, and from actor to actor."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from actors import ActorCrashed, AskTimeout, HandlerError, UsageError
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from tests.support.traced import (
    NEWS,
    Add,
    Calc,
    Count,
    Fail,
    Forward,
    Kill,
    Large,
    Note,
    Opened,
    Sender,
    Several,
    Strike,
    Where,
)
from tests.support.waiting import until

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from supervisor.tracing import instrument

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent.parent
AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)


class Traces:
    """A provider, and what it has exported."""

    def __init__(self, sampler=None):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler) if sampler else TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    @property
    def spans(self):
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    async def wait(self, name, count=1):
        """The spans of that name, once there are so many."""
        await until(lambda: len(self.named(name)) >= count, f"{count} spans {name}; there are {self.tree()}")
        assert count == len(self.named(name))
        return self.named(name)

    def tree(self):
        return [(span.name, span.status.status_code.name) for span in self.spans]


def tree(traces, *specs, **options):
    root = Supervisor(*specs, intensity=Intensity.unlimited(), spares=0, **options)
    instrument(root, tracer_provider=traces.provider)
    return root


def under(parent, *spans):
    """The spans are children of that one."""
    for span in spans:
        assert span.parent is not None
        assert parent.context.span_id == span.parent.span_id
        assert parent.context.trace_id == span.context.trace_id


def in_order(*spans):
    """Each begins when the one before has ended, or later."""
    for first, then in pairwise(spans):
        assert first.start_time <= first.end_time <= then.start_time <= then.end_time


async def test_what_the_daemon_sends():
    """Asks, tells, bulk, streams, topics and delays: send, queue and handle, each in its place and time."""
    traces = Traces()
    async with tree(traces, ChildSpec(Calc, name="calc")) as root:
        calc = root["calc"]
        with pytest.raises(AttributeError, match="a ref takes messages: await ref"):
            _ = calc.add
        with traces.tracer.start_as_current_span("request"):
            assert 3 == await calc.ask(Add(1, 2), timeout=None)
        (send,), (queue,), (handle,) = [await traces.wait(f"{one} Add") for one in ("send", "queue", "handle")]
        (request,) = traces.named("request")
        under(request, send)
        under(send, queue, handle)
        in_order(queue, handle)
        assert send.start_time <= queue.start_time
        assert (SpanKind.CLIENT, SpanKind.SERVER) == (send.kind, handle.kind)
        assert ("/root/calc", "ask", "handled") == tuple(
            handle.attributes[key] for key in ("messaging.destination.name", "actor.kind", "actor.fate")
        )
        assert isinstance(handle.attributes["process.pid"], int)

        traces.exporter.clear()
        with traces.tracer.start_as_current_span("request"):
            await calc.tell(Note())
            calc.tell_nowait(Note())
            await calc.tell(Note(), delay=0.01)
            await calc.tell_many([Note(), Note()])
            root.publish(NEWS, Note())
        handles = await traces.wait("handle Note", 6)
        (request,) = traces.named("request")
        sends = traces.named("send Note")
        under(request, *sends)
        assert [1, 1, 1, 2] == [send.attributes.get("messaging.batch.message_count", 1) for send in sends]
        assert {request.context.trace_id} == {span.context.trace_id for span in traces.spans}
        parents = [span.parent.span_id for span in handles]
        assert [1, 1, 1, 2] == [parents.count(send.context.span_id) for send in sends]
        assert 1 == parents.count(request.context.span_id)  # what is published is sent by no ref

        traces.exporter.clear()
        assert [3, 5] == await calc.ask_many([Add(1, 2), Add(2, 3)], timeout=None)
        assert [0, 1, 2] == [item async for item in calc.stream(Count(3))]
        assert 7 == await asyncio.to_thread(calc.call, Add(3, 4), timeout=None)
        (flow,) = await traces.wait("handle Count")
        under(traces.named("send Count")[0], flow, *traces.named("queue Count"))
        assert {1: 1, 2: 1} == {
            len([handle for handle in traces.named("handle Add") if handle.parent.span_id == send.context.span_id]): 1
            for send in traces.named("send Add")
        }


async def test_from_actor_to_actor():
    """The context goes through each way in which an actor sends, also through its timer and a topic."""
    traces = Traces()
    async with tree(traces, ChildSpec(Calc, name="calc"), ChildSpec(Sender, name="sender")) as root:
        for how, name in (
            ("ask", "Add"),
            ("tell", "Note"),
            ("nowait", "Note"),
            ("delayed", "Note"),
            ("many", "Note"),
            ("stream", "Count"),
            ("publish", "Note"),
            ("after", "Note"),
        ):
            traces.exporter.clear()
            with traces.tracer.start_as_current_span("request") as request:
                await root["sender"].ask(Forward("calc", how), timeout=None)
            handles = await traces.wait(f"handle {name}", 2 if how == "many" else 1)
            trace_id = request.get_span_context().trace_id
            assert {trace_id} == {span.context.trace_id for span in traces.spans}, how
            (forward,) = await traces.wait("send Forward")
            if how == "publish":
                continue
            (send,) = await traces.wait(f"send {name}")
            under(forward, send)
            under(send, *handles)
            assert "/root/sender" == send.attributes["actor.sender"] == handles[0].attributes["actor.sender"]


async def test_a_killed_handler():
    """Its span exists, says why it ended, and the next delivery is linked to it."""
    traces = Traces()
    async with tree(traces, ChildSpec(Calc, name="calc", backoff=AT_ONCE)) as root:
        assert 3 == await root["calc"].ask(Kill(until=2), timeout=None)
        first, second, third = await traces.wait("handle Kill", 3)
        assert [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET] == [
            span.status.status_code for span in (first, second, third)
        ]
        assert [] == list(first.links)
        assert [first.context.span_id] == [link.context.span_id for link in second.links]
        assert [second.context.span_id] == [link.context.span_id for link in third.links]
        assert "SIGKILL" in first.status.description
        assert ("redelivered", 1, "SIGKILL") == tuple(
            first.attributes[key] for key in ("actor.fate", "actor.deliveries", "actor.exit.signal")
        )
        assert "handled" == third.attributes["actor.fate"]
        assert [(1, "calc"), (2, "calc"), (3, "calc")] == [
            (span.attributes["actor.deliveries"], span.attributes["actor.member"]) for span in (first, second, third)
        ]
        in_order(
            *(span for pair in zip(traces.named("queue Kill"), (first, second, third), strict=True) for span in pair)
        )
        under(traces.named("send Kill")[0], first, second, third)

        with pytest.raises(ActorCrashed):
            await root["calc"].ask(Kill(until=99), timeout=None)
        assert "poison" == traces.named("handle Kill")[-1].attributes["actor.fate"]
        (_, send) = traces.named("send Kill")
        assert StatusCode.ERROR == send.status.status_code

        await root["calc"].tell(Strike())
        (strike,) = await traces.wait("handle Strike")
        assert "crashed_while_handling" == strike.attributes["actor.fate"]
        assert "killed" == strike.attributes["actor.exit.kind"]


@pytest.mark.parametrize(("actor", "size"), [(Calc, 1), (Calc, 2), (Several, 1)])
async def test_no_span_is_lost(actor, size):
    """Under kills each message has one handling that ended it, of an actor, a pool, and an async actor."""
    traces = Traces()
    async with tree(traces, ChildSpec(actor, name="calc", size=size, backoff=AT_ONCE, max_deliveries=100)) as root:
        calc = root["calc"]
        asks = []
        for number in range(60):
            asks.append(asyncio.create_task(calc.ask(Kill(until=0), timeout=None)))
            await calc.tell(Note())
            if number % 20 == 10:
                await calc.tell(Strike())
                await asyncio.sleep(0)
        await asyncio.gather(*asks)
        await until(lambda: not root.snapshot().children[0].mailbox, "the end of all messages")
        fates = root["calc"].mailbox.fates
    ends = [span for span in traces.spans if span.name.startswith("handle ")]
    for name, count in (("Kill", 60), ("Note", 60), ("Strike", 3)):
        sends = {span.context.span_id for span in traces.named(f"send {name}")}
        over = [
            span.parent.span_id
            for span in ends
            if span.name == f"handle {name}" and span.attributes["actor.fate"] != "redelivered"
        ]
        assert count == len(sends) == len(over)
        assert sends == set(over)
    told = Counter(span.attributes["actor.fate"] for span in ends)
    assert {fate.value: count for fate, count in fates.items()} == {
        fate: count for fate, count in told.items() if fate != "redelivered"
    }


async def test_errors():
    """Of a handler, of an ask that is too late, and of what was never begun."""
    traces = Traces()
    async with tree(traces, ChildSpec(Calc, name="calc")) as root:
        with pytest.raises(HandlerError):
            await root["calc"].ask(Fail("so be it"), timeout=None)
        (handle,) = await traces.wait("handle Fail")
        assert StatusCode.ERROR == handle.status.status_code
        assert "ValueError: so be it" == handle.status.description
        assert "ValueError" == handle.attributes["exception.type"]
        (send,) = traces.named("send Fail")
        assert StatusCode.ERROR == send.status.status_code
        await root.terminate_child("calc")
    traces.exporter.clear()
    async with tree(traces, ChildSpec(Calc, name="calc")) as root:
        with pytest.raises(AskTimeout):
            await root["calc"].ask(Add(1, 2), timeout=0.0)
        (send,) = traces.named("send Add")
        assert "AskTimeout" in send.status.description
        await until(lambda: traces.named("queue Add"), "the span of what was not begun")
        (queue,) = traces.named("queue Add")
        assert queue.attributes["actor.fate"] in {"expired", "handled"}


@pytest.mark.parametrize("sampler", [None, ALWAYS_OFF])
async def test_large_messages_of_a_tree_that_runs(sampler):
    """The context stands behind a message that is not copied, and before its attachments."""
    traces = Traces(sampler)
    async with Supervisor(ChildSpec(Calc, name="calc"), intensity=Intensity.unlimited()) as root:
        instrument(root, tracer_provider=traces.provider)
        with traces.tracer.start_as_current_span("request"):
            assert 300_000 == await root["calc"].ask(Large("x" * 300_000), timeout=None)
            assert 500_001 == await root["calc"].ask(Large("x", b"y" * 500_000), timeout=None)
            await root["calc"].tell(Large("x" * 300_000))
            assert [200_000] * 3 == await root["calc"].ask_many([Large("x" * 200_000)] * 3, timeout=None)
    assert (6 if sampler is None else 0) == len(traces.named("handle Large"))


async def test_the_api_in_an_actor():
    """Its current span is that of the message; nothing is imported for it."""
    traces = Traces()
    async with tree(traces, ChildSpec(Opened, name="opened")) as root:
        await root["opened"].ask(Where(), timeout=None)
        with traces.tracer.start_as_current_span("request") as request:
            inside = await root["opened"].ask(Where(), timeout=None)
        assert f"{request.get_span_context().trace_id:032x}" == inside


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF)])
async def test_unsampled(sampler):
    """No span, no batch less; the context of an unsampled trace travels all the same."""
    traces = Traces(sampler)
    async with tree(traces, ChildSpec(Opened, name="opened"), ChildSpec(Calc, name="calc")) as root:
        await root["opened"].ask(Where(), timeout=None)
        with traces.tracer.start_as_current_span("request") as request:
            assert request.get_span_context().is_valid
            assert f"{request.get_span_context().trace_id:032x}" == await root["opened"].ask(Where(), timeout=None)
            for _ in range(100):
                await root["calc"].tell(Note())
            await root["calc"].tell_many([Note()] * 100)
        for _ in range(100):
            await root["calc"].tell(Note())
        assert 3 == await root["calc"].ask(Add(1, 2), timeout=None)
        assert 301 == root.snapshot().children[1].fates["handled"]
    assert not traces.spans


def test_without_opentelemetry():
    """One error that says what to install."""
    code = "import sys; sys.modules['opentelemetry'] = None\nimport supervisor.tracing"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert "pip install 'actor-supervisor[tracing]'" in done.stderr


async def test_refusals():
    traces = Traces()
    root = tree(traces, ChildSpec(Calc))
    with pytest.raises(UsageError, match="is traced already"):
        instrument(root)
    with pytest.raises(UsageError, match="instrument takes the Supervisor of a tree"):
        instrument("root")
