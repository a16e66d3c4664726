"""Relay: lives on an agent's machine, whose channels are passed on as bytes. Runs on the agent's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.wire.frames import Outcomes, Replies
from actors.wire.framing import Announced, Carried, SharedAttachment, shared_header
from actors.wire.log_lines import Record
from supervisor.cluster.agent.announcements import Announcements
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.rules.spare_count import SpareCount
from supervisor.ports import AnyReader, Said
from supervisor.process.channel import ChannelReader
from supervisor.process.descriptors import LifeDescriptors
from supervisor.process.launcher import ProcessLauncher
from supervisor.process.life import ProcessLife
from supervisor.process.spares import OnSpareFailed
from supervisor.system.orphans import OnLost

TAKE_EVERY = wire.WINDOW // 4  # bytes after which the daemon gets its room back


class RelayedFrames:
    """Passes on what one process sends, and reads nothing of it but where a value in shared memory is announced.

    Args:
        on_bytes: takes bytes.
        on_value: takes a value, before the bytes that announce it.
        take: takes the value that was announced.
        on_error: called when the process breaks the protocol.
    """

    def __init__(
        self,
        *,
        on_bytes: Callable[[bytes], None],
        on_value: Callable[[SharedAttachment], None],
        take: Callable[[Announced], SharedAttachment],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.refused = False
        self._announcements = Announcements()
        self._on_bytes = on_bytes
        self._on_value = on_value
        self._take = take
        self._on_error = on_error

    def arrived(self, chunk: bytes) -> None:
        """Take bytes in."""
        if not self.refused:
            try:
                for piece in self._announcements.cut(chunk):
                    if isinstance(piece, Announced):
                        self._on_value(self._take(piece))
                        self._on_bytes(shared_header(piece.size))
                    else:
                        self._on_bytes(piece)
            except WireError as error:
                self.refused = True
                self._on_error(error)

    def take_rest(self) -> None:
        """There is none."""


class RelayedLife(ProcessLife):
    """One life on the agent's machine."""

    _listener: RelayListener

    _keeps_replies = False  # the daemon does not see its black box

    def _frame_reader(self, box: BlackBox) -> ChannelReader:
        """The daemon checks the size of frames."""
        del box
        return RelayedFrames(
            on_bytes=self._relay,
            on_value=self._relay_value,
            take=self._take,
            on_error=self._broken,
        )

    def write(self, data: bytes) -> None:
        """Write bytes of its channel."""
        self._pipe_writer.send_raw(data)

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
        if going_on:
            self._reader.stream(self._duplex, self._frames.arrived, self._channel_ended)
        else:
            self._reader.forget(self._duplex.incoming)

    def pass_on(self, value: SharedAttachment) -> None:
        """Pass a value in shared memory to its process; the channel announces it."""
        passing = None if self.over else self._passing()
        if passing is not None:
            passing.send(value)

    def _passing(self) -> LifeDescriptors | None:
        return super()._passing() if self._part.descriptors else None

    def _relay(self, chunk: bytes) -> None:
        self._listener.life_sent(chunk)

    def _relay_value(self, value: SharedAttachment) -> None:
        self._listener.life_passed(value)


class RelayLauncher(ProcessLauncher):
    """Starts lives whose channels are passed on.

    Args:
        link: to the daemon.
        lease: descriptor of the connection of the lease. The orphan reaper holds it open until nothing is left of any
            life, so its end, which the daemon sees after the end of this process, says that all of them have ended.
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
        self._passes_descriptors = link.passes_values
        self._orphan_reaper.held = (lease,)


class Home(Protocol):
    """What the lives of an agent share."""

    @property
    def link(self) -> Link:
        """To the daemon."""

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
    """

    life: RelayedLife

    def __init__(self, number: int, home: Home) -> None:
        self.number = number
        self.rings = 0
        self.last: wire.Sample | None = None
        self.surveyed: wire.Sample | None = None
        self.text_until = 0.0
        self._home = home
        self._taken = 0  # bytes written to the process for which the daemon has not got its room back
        self._unpassed = 0  # bytes sent to the daemon that it has not passed on
        self._paused = False

    # ---- from the daemon

    def take_bytes(self, data: bytes) -> None:
        """Bytes of its channel."""
        self.life.write(data)
        self._taken += len(data)
        if self._taken >= TAKE_EVERY and not self.life.congested:
            self._give_room()

    def took(self, size: int) -> None:
        """The daemon has passed that many bytes on."""
        self._unpassed -= size
        if self._paused and self._unpassed < wire.WINDOW // 2:
            self._paused = False
            self.life.read(going_on=True)

    def _give_room(self) -> None:
        size, self._taken = self._taken, 0
        self._home.link.send(wire.Took(self.number, size))

    # ---- from the life (LifeListener)

    def life_sent(self, chunk: bytes) -> None:
        """Bytes of its channel for the daemon."""
        self._home.link.send_bytes(self.number, chunk)
        self._unpassed += len(chunk)
        if self._unpassed > wire.WINDOW and not self._paused:
            self._paused = True
            self.life.read(going_on=False)

    def life_passed(self, value: SharedAttachment) -> None:
        """A value in shared memory, which its channel announces next."""
        self._home.link.pass_value(self.number, value)

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._home.link.send(wire.Ready(self.number, self.life.pid))

    def life_outcomes(self, frame: Outcomes | Replies, attachments: Sequence[Carried], /) -> None:
        """The daemon reads frames."""

    def life_said(self, frame: Said, attachments: Sequence[Carried] = ()) -> None:
        """The daemon reads frames."""

    def life_wrote(self, life: int, record: Record) -> None:
        """See `LifeListener`."""
        self._home.link.send(wire.Wrote(self.number, life, record))

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """See `LifeListener`."""
        self._home.link.send(wire.Dropped(self.number, life, lines, size))

    def life_writable(self) -> None:
        """Everything that waited is written to the process."""
        self._give_room()

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._home.over(self.number)
        self._home.link.send(wire.Ended(self.number, end))
