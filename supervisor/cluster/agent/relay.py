"""Relay: lives on an agent's machine, whose channels are passed on as bytes. Runs on the agent's loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.ipc.shared_memory import Segment
from actors.wire.codec import encode
from actors.wire.framing import (
    Announced,
    Carried,
    SharedAttachment,
    attachment_header,
    header,
    shared_header,
)
from actors.wire.from_child import KeptReplies as KeptRepliesFrame
from actors.wire.from_child import Outcomes, Replies
from actors.wire.log_lines import Record
from supervisor.cluster.agent.announcements import Announcements
from supervisor.cluster.agent.leaving import Leaving
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.parts import Joiner
from supervisor.cluster.link.stock import KeptValues
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.rules.spare_count import SpareCount
from supervisor.ports.life import Said
from supervisor.ports.reading import AnyReader
from supervisor.process.channel_end import ChannelReader
from supervisor.process.descriptors import LifeDescriptors
from supervisor.process.kept_replies import KeptReplies
from supervisor.process.launcher import ProcessLauncher
from supervisor.process.life import ProcessLife
from supervisor.process.spares import OnSpareFailed
from supervisor.system.orphans import OnLost

TAKE_EVERY = wire.WINDOW // 4  # bytes after which the daemon gets its room back


class RelayedFrames:
    """Passes on what one process sends, and reads nothing of it but what it announces.

    That is values in shared memory, and replies in its black box: of these the daemon gets the frames that the process
    would have sent.

    Args:
        on_bytes: takes bytes.
        on_value: takes a value, before the bytes that announce it, and how many bytes of values its frame has so far;
            returns whether the daemon gets it.
        take: takes the value that was announced.
        on_rest: takes the frames of what an ended process has left; its last bytes may be part of a frame.
        on_error: called when the process breaks the protocol, or what it sends cannot be passed on.
        kept: the replies in its black box; None where none are kept.
    """

    def __init__(
        self,
        *,
        on_bytes: Callable[[bytes], None],
        on_value: Callable[[SharedAttachment, int], bool],
        take: Callable[[Announced], SharedAttachment],
        on_rest: Callable[[bytes], None],
        on_error: Callable[[Exception], None],
        kept: KeptReplies | None,
    ) -> None:
        self.refused = False
        self._announcements = Announcements()
        self._frame = self._shared = 0  # the number of the frame that comes, and bytes of its values
        self._on_bytes = on_bytes
        self._on_value = on_value
        self._take = take
        self._on_rest = on_rest
        self._on_error = on_error
        self._kept = kept

    def arrived(self, chunk: bytes) -> None:
        """Take bytes in."""
        if self.refused:
            return
        passed: list[bytes] = []  # what one read of the pipe has brought leaves in one piece
        with self._refusing():
            for piece in self._announcements.cut(chunk):
                if isinstance(piece, Announced):
                    before, passed = passed, []
                    self._pass(before)
                    passed.append(self._announced(piece))
                elif isinstance(piece, KeptRepliesFrame):
                    passed.append(_encoded(self._kept_replies.announced(piece, self._look)))
                else:
                    passed.append(piece)
            if self._kept is not None:
                self._kept.heard = self._announcements.heard
        self._pass(passed)

    def _announced(self, announced: Announced) -> bytes:
        """What announces the value to the daemon."""
        if self._frame != self._announcements.heard:
            self._frame, self._shared = self._announcements.heard, 0
        self._shared += announced.size
        passed = self._on_value(self._take(announced), self._shared)
        return shared_header(announced.size) if passed else attachment_header(0)

    def _pass(self, pieces: list[bytes]) -> None:
        if pieces:
            self._on_bytes(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def take_rest(self) -> None:
        """The process has ended, and its pipe is read: pass on the replies that lie in its black box."""
        if not self.refused:
            with self._refusing():
                self._on_rest(_encoded(self._kept_replies.rest()))

    def _look(self, mark: int, done: int) -> None:
        """Pass on what a look at the black box has found; every frame that was sent has come whole."""
        if self.refused:
            return
        with self._refusing():
            if found := self._kept_replies.read(mark, done):
                self._on_bytes(_encoded(found))

    @property
    def _kept_replies(self) -> KeptReplies:
        if self._kept is None:
            raise WireError("it keeps replies where none are read")
        return self._kept

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Nothing more is taken from a process after what it sent was wrong, or could not be passed on."""
        try:
            yield
        except Exception as error:
            self.refused = True
            self._on_error(error)


def _encoded(frames: Sequence[Outcomes | Replies]) -> bytes:
    """These frames, as the process would have sent them."""
    data = [encode(frame) for frame in frames]
    return b"".join(piece for one in data for piece in (header(len(one)), one))


class RelayedLife(ProcessLife):
    """One life on the agent's machine."""

    _listener: RelayListener
    _waits = False  # whether its channel is not read for now

    def _frame_reader(self, box: BlackBox) -> ChannelReader:
        """The daemon checks the size of frames."""
        return RelayedFrames(
            on_bytes=self._relay,
            on_value=self._relay_value,
            take=self._take,
            on_rest=self._relay_rest,
            on_error=self._broken,
            kept=KeptReplies(box, self._loop) if self._start.keeps_replies else None,
        )

    def write(self, data: bytes) -> None:
        """Write bytes of its channel."""
        self._writer.send_raw(data)

    def stop(self) -> None:
        """Ask it to stop. The frame that says the same comes from the daemon, between those of messages."""
        if not self.over:
            self._ask_to_stop()
            self._box.ring()

    def ring(self) -> None:
        """Ring its doorbell."""
        if not self.over:
            self._box.ring()

    def read(self, *, going_on: bool) -> None:
        """Read its channel, or let it wait."""
        if self.over or self._channel_over or self._worker.gone:
            return
        self._waits = not going_on
        if going_on:
            self._reader.stream(self._duplex, self._frames.arrived, self._channel_ended)
        else:
            self._reader.forget(self._duplex.incoming)

    def _vanished(self) -> None:
        """The process has exited. What is left in its channel is little: it is read also while the channel waits."""
        if self._waits:
            self._reader.stream(self._duplex, self._frames.arrived, self._channel_ended)
        super()._vanished()

    def pass_on(self, value: SharedAttachment) -> None:
        """Pass a value in shared memory to its process; the channel announces it."""
        passing = None if self.over else self._passing()
        if passing is not None:
            passing.send(value)

    def _passing(self) -> LifeDescriptors | None:
        return super()._passing() if self._start.descriptors else None

    def _relay(self, chunk: bytes) -> None:
        self._listener.life_sent(chunk)

    def _relay_rest(self, frames: bytes) -> None:
        self._listener.rest = frames

    def _relay_value(self, value: SharedAttachment, of_frame: int) -> bool:
        return self._listener.life_passed(value, of_frame)


class RelayLauncher(ProcessLauncher):
    """Starts lives whose channels are passed on.

    Args:
        link: to the daemon.
        lease: descriptor of the connection of the lease. Each life holds it open until it ends, and the orphan reaper
            until nothing is left of any, so its end, which the daemon sees after the end of this process, says that all
            of them have ended: also where the reaper was killed with this process, as Ray does when a worker exits.
    """

    _life = RelayedLife

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        spares: SpareCount,
        on_reaper_lost: OnLost,
        on_spare_failed: OnSpareFailed,
        *,
        link: Link,
        lease: int,
    ) -> None:
        super().__init__(loop, reader, spares, on_reaper_lost, on_spare_failed)
        self._passes_descriptors = link.passes_values or link.joins_values
        self._orphan_reaper.held = (lease,)


class Home(Protocol):
    """What the lives of an agent share."""

    @property
    def link(self) -> Link:
        """To the daemon."""

    @property
    def kept(self) -> KeptValues:
        """The values that are on both machines."""

    def over(self, number: int) -> None:
        """A life has ended."""


class RelayListener:
    """Passes on the events of one life, and keeps both directions within their windows.

    Args:
        number: of the life on the link.
        home: the agent.

    Attributes:
        life: set when it is launched.
        rings: how often its doorbell was rung.
        last: the last look at what it does.
        surveyed: the last look at its process.
        text_until: loop time until which its text is of interest.
        rest: frames of the replies that its process had left in its black box.
    """

    life: RelayedLife

    def __init__(self, number: int, home: Home) -> None:
        self.number = number
        self.rings = 0
        self.last: wire.Sample | None = None
        self.surveyed: wire.Sample | None = None
        self.text_until = 0.0
        self.rest = b""
        self._home = home
        self._taken = 0  # bytes written to the process for which the daemon has not got its room back
        self._joiner = Joiner()
        self._leaving = Leaving(number, home.link, home.kept, lambda on: self.life.read(going_on=on))
        self._dropped: wire.Dropped | None = None  # output of which the daemon was not told

    # ---- from the daemon

    def take_bytes(self, data: bytes) -> None:
        """Bytes of its channel."""
        self.life.write(data)
        self._take(len(data))

    def take_part(self, part: wire.Part) -> None:
        """A part of a value in shared memory."""
        value = self._joiner.put(part)
        if isinstance(value, SharedAttachment):
            self.life.pass_on(value)
            if part.known and isinstance(value, Segment):  # one for which there was no room crosses again
                self._home.kept.add(part.known, value)
                self._home.link.send(wire.Has(part.known))
        self._take(len(part.data))

    def _take(self, size: int) -> None:
        self._taken += size
        if self._taken >= TAKE_EVERY and not self.life.congested:
            self._give_room()

    def took(self, size: int) -> None:
        """The daemon has passed that many bytes on."""
        self._leaving.took(size)

    def _give_room(self) -> None:
        size, self._taken = self._taken, 0
        self._home.link.send(wire.Took(self.number, size))

    # ---- from the life (LifeListener)

    def life_sent(self, chunk: bytes) -> None:
        """Bytes of its channel for the daemon."""
        self._leaving.send(chunk)

    def life_passed(self, value: SharedAttachment, of_frame: int) -> bool:
        """A value in shared memory, which its channel announces next; whether the daemon gets it."""
        return self._leaving.send_value(value, of_frame)

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._home.link.send(wire.Ready(self.number, self.life.pid))

    def life_outcomes(self, frame: Outcomes | Replies, attachments: Sequence[Carried], /) -> None:
        """The daemon reads frames."""

    def life_said(self, frame: Said, attachments: Sequence[Carried] = ()) -> None:
        """The daemon reads frames."""

    def life_wrote(self, life: int, record: Record) -> None:
        """Its line is dropped where the daemon has not read very many."""
        if self._home.link.lags:
            self._drop(life, 1, len(encode(record)))
            return
        self.tell_dropped()
        self._home.link.send(wire.Wrote(self.number, life, record))

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """See `LifeListener`."""
        self._drop(life, lines, size)
        if not self._home.link.lags:
            self.tell_dropped()

    def tell_dropped(self) -> None:
        """Tell the daemon how much output was dropped, if any was."""
        dropped, self._dropped = self._dropped, None
        if dropped is not None:
            self._home.link.send(dropped)

    def _drop(self, life: int, lines: int, size: int) -> None:
        if self._dropped is not None:
            lines, size = lines + self._dropped.lines, size + self._dropped.size
        self._dropped = wire.Dropped(self.number, life, lines, size)

    def life_writable(self) -> None:
        """Everything that waited is written to the process."""
        self._give_room()

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._leaving.end(lambda: self._over(end))

    def _over(self, end: LifeEnd) -> None:
        self._home.over(self.number)
        self.tell_dropped()
        self._home.link.send(wire.Ended(self.number, end, self.rest))
