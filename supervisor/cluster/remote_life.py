"""RemoteLife: one life of an actor on another machine.

    post, cancel, ... ─▶ FrameWriter ─▶ Flow ─▶ Link ═▶ agent ─▶ pipe ─▶ process
    LifeListener ◀─ FrameReader ◀──────────── Link ◀═ agent ◀─ pipe ◀─┘

Its frames are those of a life on this machine; the agent passes them on as bytes. What a black box shows at once here
is a sample there. Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from actors.wire.framing import Carried, SharedAttachment
from actors.wire.from_child import CrashReport, Goodbye, Outcomes, Replies, Send, SendMany
from actors.wire.to_child import StartActor, Stop
from supervisor.cluster.clock import RemoteClock
from supervisor.cluster.inspection import RemoteInspection
from supervisor.cluster.link import wire
from supervisor.cluster.link.flow import Flow
from supervisor.cluster.link.life_values import LifeValues
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.stock import KnownValues
from supervisor.cluster.link.window import Window
from supervisor.cluster.mirror import Mirror
from supervisor.core.delivery.messages import Batch, QueuedMessage
from supervisor.core.health.life_end import LifeEnd
from supervisor.ports.life import LifeListener, Said
from supervisor.process.channel import FrameReader, FrameWriter, ProcessDelivery
from supervisor.process.channel_end import ChannelEnd
from supervisor.process.life import GOODBYE


class RemoteLife(ProcessDelivery, ChannelEnd, RemoteInspection):
    """One life on another machine, from when a place is looked for until its end is known.

    Args:
        start: which actor it runs.
        lanes: how many messages it handles at once.
        listener: gets its events.
        loop: of the tree.
        on_over: called when it has ended, before the listener is.

    Attributes:
        node: the name of its machine; None before it has a place.
        awaits: why it has no place yet, in words; empty once it has one.
        clock: of its machine.
        values: its values in shared memory.
    """

    _frames: FrameReader
    _box: Mirror  # type: ignore[assignment]  # the part of a black box that a delivery uses

    def __init__(
        self,
        start: StartActor,
        lanes: int,
        listener: LifeListener,
        loop: asyncio.AbstractEventLoop,
        on_over: Callable[[RemoteLife], None],
    ) -> None:
        super().__init__(start.path, loop)
        self.start = start
        self.lanes = lanes
        self.pid: int | None = None
        self.node: str | None = None
        self.number = 0
        self.awaits = ""
        self._listener = listener
        self._on_over = on_over
        self._link: Link | None = None
        self.clock = RemoteClock()
        self._box = Mirror(lambda: self._tell(wire.Ring(self.number)))
        self._flow = Flow(loop)
        self._writer = FrameWriter(self._flow, self._flow, listener.life_writable, self.refuse, _broken_link)
        self._window = Window()
        self.values = LifeValues()
        self._frames = FrameReader(
            start.max_frame,
            _Here(listener, self, self._window),
            on_farewell=self._said_farewell,
            on_error=self._broken,
            take=self.values.take,
        )
        self._unpassed = 0  # bytes that arrived, and for which the agent has not got its room back
        self._stop_asked = self._kill_asked = False

    def begin_on(self, link: Link, number: int, node: str, clock: RemoteClock, known: KnownValues) -> None:
        """A place was found: start there."""
        self.number, self.node, self._link = number, node, link
        self.clock = clock
        self.awaits = ""
        link.send(wire.Begin(number, self.start, self.lanes))
        self.values.open(link, number, known, self._flow if link.joins_values else None)
        self._flow.open(link, number, known)
        if self._stop_asked:
            self._tell(wire.StopLife(number))
        if self._kill_asked:
            self._tell(wire.KillLife(number))

    def add_environment(self, env: Mapping[str, str]) -> None:
        """Its process gets these variables, unless its spec sets them."""
        if env:
            conditions = self.start.conditions
            conditions = msgspec.structs.replace(conditions, env={**env, **conditions.env})
            self.start = msgspec.structs.replace(self.start, conditions=conditions)

    def failed_to_begin(self, why: str) -> None:
        """There is no place for it, or its machine cannot start it."""
        self._finish(LifeEnd(pid=None, exit_code=None, wire_error=why))

    # ---- Delivery

    def post(self, batch: list[QueuedMessage]) -> None:
        """Send a batch of messages; deadlines as times of that machine's clock."""
        clock = self.clock
        if any(message.deadline is not None for message in batch):
            batch = [msgspec.structs.replace(one, deadline=clock.there(one.deadline)) for one in batch]
        super().post(batch)

    def post_batch(self, batch: Batch) -> None:
        """Send a batch; its deadline as a time of that machine's clock."""
        self._send_batch(batch, self.clock.ahead / 1e9)

    @property
    def at_once(self) -> bool:
        """It shows a sample, as long as it lives."""
        return self.over

    @property
    def window(self) -> int:
        """As much as it handles in a short while."""
        return self._window.size(time.monotonic())

    @property
    def caught_up(self) -> bool:
        """Whether its last sample is newer than the last control frame."""
        return self.over or self._box.caught_up

    # ---- Control

    def stop(self) -> None:
        """Ask it to finish its message and exit. The frame keeps its place between those of messages.

        One that has no place yet ends at once.
        """
        if not self.over:
            self._stop_asked = True
            if self._link is None:
                self._loop.call_soon(self._stopped_before_it_began)
            self._writer.send(Stop())
            self._tell(wire.StopLife(self.number))

    def kill(self) -> None:
        """Kill it; one that has no place yet ends at once."""
        self._kill_asked = True
        if self._link is None and not self.over:
            self._loop.call_soon(self._killed_before_it_began)
        self._tell(wire.KillLife(self.number))

    # ---- from its agent

    def take_bytes(self, data: bytes) -> None:
        """Bytes of its channel."""
        if self.over:
            return
        self._frames.arrived(data)
        self._give_room(len(data))

    def take_part(self, part: wire.Part) -> None:
        """A part of a value in shared memory."""
        try:
            self.values.joined(part)
        except Exception as error:
            self._broken(error)
        self._give_room(len(part.data))

    def _give_room(self, size: int) -> None:
        self._unpassed += size
        if self._unpassed >= wire.WINDOW // 4:
            size, self._unpassed = self._unpassed, 0
            self._tell(wire.Took(self.number, size))

    def pass_on(self, said: wire.Wrote | wire.Dropped) -> None:
        """It wrote a line, or lost some; also after its end."""
        if isinstance(said, wire.Wrote):
            self._listener.life_wrote(said.life, said.record)
        else:
            self._listener.life_lost(said.life, said.lines, said.size)

    def take(self, value: wire.Ready | wire.Sample | wire.Ended | wire.Took) -> None:
        """A value about it."""
        if self.over:
            return
        match value:
            case wire.Took():
                self._flow.took(value.size)
            case wire.Sample():
                self.pid = value.pid
                self._box.show(value, self.clock)
            case wire.Ready():
                self.pid = value.pid
                self._listener.life_ready()
            case wire.Ended():
                if value.rest:
                    self._frames.begin_anew()
                    self._frames.arrived(value.rest)
                self._finish(value.end)

    def link_writable(self) -> None:
        """The link takes data again."""
        self._flow.link_writable()

    def lost(self, why: str) -> None:
        """Its machine is gone: it has certainly ended, and nothing is known of what it did."""
        self._finish(LifeEnd(pid=self.pid, exit_code=None, lost=why))

    # ---- inside

    def _send_with(self, attachments: Sequence[Carried], frame: bytes) -> None:
        super()._send_with(self.values.fitting(attachments), frame)

    def _carried(self, attachment: SharedAttachment) -> Carried:
        return self.values.send(attachment)

    def _said_farewell(self, farewell: CrashReport | Goodbye) -> None:
        """A thread of its own may keep it from exiting."""
        self._farewell = farewell
        self._loop.call_later(GOODBYE, self.kill)

    def _obeyed(self, end: LifeEnd) -> bool:
        """Whether the frame that asks it to stop has ended it; the agent may not have heard of that yet."""
        return isinstance(self._farewell, Goodbye) and not end.left

    def _stopped_before_it_began(self) -> None:
        if self._link is None:
            self._finish(LifeEnd(pid=None, exit_code=0))

    def _killed_before_it_began(self) -> None:
        if self._link is None:
            self._finish(LifeEnd(pid=None, exit_code=None, wire_error=f"the search for a machine: {self.awaits}"))

    def _finish(self, end: LifeEnd) -> None:
        if self.over:
            return
        self.values.close()
        self._writer.close()
        end = msgspec.structs.replace(
            end,
            crash_report=self._farewell if isinstance(self._farewell, CrashReport) else None,
            goodbye=self._farewell is not None,
            wire_error=self._wire_error or end.wire_error,
            stop_asked=end.stop_asked or (self._stop_asked and (end.pid is None or self._obeyed(end))),
            kill_asked=end.kill_asked or self._kill_asked,
            progress=self.clock.progress(end.progress),
        )
        self.pid = end.pid
        self._last_progress, self._last_activity, self._last_text = end.progress, self._box.activity(), end.text
        self.over = True
        del self._frames  # it may hold a large part of a frame, and timers may hold this life for a while
        self._on_over(self)
        self._listener.life_exited(end)


class _Here:
    """Passes frames on, with times of this machine's clock, and counts the messages that have ended."""

    def __init__(self, listener: LifeListener, life: RemoteLife, window: Window) -> None:
        self._listener = listener
        self._life = life
        self._window = window
        self._acknowledged = 0
        self.life_wrote = listener.life_wrote
        self.life_lost = listener.life_lost
        self.life_ready = listener.life_ready
        self.life_writable = listener.life_writable
        self.life_exited = listener.life_exited

    def life_outcomes(self, frame: Outcomes | Replies, attachments: Sequence[Carried], /) -> None:
        if isinstance(frame, Replies):
            count = frame.count
        else:
            count = len(frame.items) + max(0, frame.ack_up_to - self._acknowledged)
            self._acknowledged = max(self._acknowledged, frame.ack_up_to)
        self._window.ended(count, time.monotonic())  # as many may be sent ahead again
        self._listener.life_outcomes(frame, attachments)

    def life_said(self, frame: Said, attachments: Sequence[Carried] = ()) -> None:
        if isinstance(frame, Send | SendMany) and frame.deadline is not None:
            frame = msgspec.structs.replace(frame, deadline=self._life.clock.here(frame.deadline))
        self._listener.life_said(frame, attachments)


def _broken_link(error: OSError) -> None:
    """The end of the link is reported apart."""
