"""Node: one machine of the cluster as a tree uses it: an agent there, the link to it, and the lives on it.

When does it count as gone? When its lives have certainly ended, or its lease has run out, which ends them:

    the link is over, and the connection of the lease was closed there, by its guard,
    the agent, each life, and last the orphan reaper, which has ended the lives ─▶ at once
    the same where it was reset, and Ray has seen the agent's process end ───▶ at once
    silence, or the link breaks ─▶ `lease` and a slack after its guard's last answer

The guard asks as long as the agent's loop runs, over a connection of its own: however slow the network is, or how much
waits in the link, only an agent that is stuck counts as such.

Only then are its lives reported as ended, so no other life of theirs starts beside them. Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import Callable
from typing import Final

import msgspec

from actors.errors import WireError
from supervisor.cluster.clock import RemoteClock
from supervisor.cluster.leases import Leases
from supervisor.cluster.lines import Lines
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.stock import KnownValues
from supervisor.cluster.link.values import Values
from supervisor.cluster.remote_life import RemoteLife
from supervisor.io.loop_reader import LoopReader
from supervisor.ports.launching import MachinesSay

SLACK: Final = 1.0  # seconds beyond a lease: clocks run differently, and killing takes a moment
PINGS: Final = 4  # in one lease, for the clock of that machine


class Node:
    """One machine.

    Args:
        key: Ray's id of it.
        name: for people.
        loop: of the tree.
        stream: the connection of the link.
        values: the Unix socket beside it, None where the agent is on another machine.
        has_shared_memory: whether that machine has.
        guard: the connection on which the lease is renewed.
        leases: renews the lease.
        lease: seconds of it.
        lines: takes what lives write.
        tree: path of the tree.
        say: takes what is wrong there.
        on_gone: called once when it is gone, before its lives are told.
    """

    def __init__(
        self,
        *,
        key: str,
        name: str,
        loop: asyncio.AbstractEventLoop,
        stream: socket.socket,
        values: socket.socket | None,
        has_shared_memory: bool,
        guard: socket.socket,
        leases: Leases,
        lease: float,
        lines: Lines,
        tree: str,
        say: MachinesSay,
        on_gone: Callable[[Node, str], None],
    ) -> None:
        self.key = key
        self.name = name
        self.lives: dict[int, RemoteLife] = {}
        self.gone: str | None = None
        self.closed = asyncio.Event()
        self.closing = False
        self._clock = RemoteClock()
        self._loop = loop
        self._numbers = itertools.count(1)
        self._guard = guard
        self._leases = leases
        self._lease = lease
        self._lines = lines
        self._tree = tree
        self._say = say
        self._on_gone = on_gone
        self._broken = ""
        self._link_over = ""  # why
        self._lease_over = False  # nothing of it runs there any more
        self._lease_reset = False  # the same, unless something between here and there did it
        self._agent_ended = ""
        self._ready = asyncio.Event()
        leases.add(guard, self._lease_ended)
        reader = LoopReader(loop)  # a stream for all lives there: a thread between would cost each batch a wake-up
        self._link = Link(
            stream,
            reader,
            values=None if values is None else Values(values, reader, loop),
            joins_values=has_shared_memory,
            on_bytes=self._take_bytes,
            on_value=self._take,
            on_room=self._writable,
            on_end=self._ended,
        )
        self._known = KnownValues(self._forget)
        self._look_timer = loop.call_later(lease / 4, self._look)
        self._ping()

    async def ready(self) -> None:
        """Return when its clock is known, or it is gone."""
        await self._ready.wait()

    @property
    def silent(self) -> bool:
        """Whether its guard has not asked for a while: nothing should be started there now."""
        return time.monotonic() - self._leases.answered(self._guard) > self._lease * 0.6

    def begin(self, life: RemoteLife) -> None:
        """Start a life here."""
        if self.gone is not None:
            life.failed_to_begin(f"its machine is gone: {self.gone}")
            return
        number = next(self._numbers)
        self.lives[number] = life
        life.begin_on(self._link, number, self.name, self._clock, self._known)

    def over(self, life: RemoteLife) -> None:
        """A life has ended, here or on another machine."""
        if self.lives.get(life.number) is life:
            del self.lives[life.number]

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """Spares may import a module."""
        self._link.send(wire.Preload(module, main))

    def wind_down(self) -> None:
        """No more lives are expected."""
        self._link.send(wire.WindDown())

    def close(self) -> None:
        """All lives have ended: end the agent. `closed` is set when nothing is left there."""
        self.closing = True
        self._link.send(wire.Close())

    def abandon(self) -> None:
        """The loop was closed: close the link, and the agent ends. Runs in the thread of the leases."""
        self._link.abandon()

    def agent_ended(self, why: str) -> None:
        """Ray has seen the end of the agent's process; its lives end just after that."""
        self._agent_ended = why
        self._conclude()

    def lost(self, why: str) -> None:
        """Its lives have certainly ended."""
        if self.gone is not None:
            return
        self.gone = why
        self._look_timer.cancel()
        self._ping_timer.cancel()
        self._link.close()
        self._leases.drop(self._guard)
        self.closed.set()
        self._ready.set()
        self._on_gone(self, why)
        self._lines.before_an_end()
        for life in tuple(self.lives.values()):
            life.lost(why)

    # ---- from the agent

    def _take_bytes(self, number: int, data: bytes) -> None:
        life = self.lives.get(number)
        if life is not None:
            life.take_bytes(data)

    def _take(self, data: bytes) -> None:
        match value := wire.read_from_agent(data):
            case wire.Pong():
                self._clock.heard(value.sent, value.now, time.monotonic_ns())
                self._ready.set()
            case wire.ReaperLost():
                self._say.orphan_reaper_lost(self._tree, f"{value.why} (on {self.name})")
            case wire.SpareFailed():
                self._say.spare_failed(self._tree, value.module, f"{value.why} (on {self.name})")
            case wire.Has():
                self._known.has(value.known)
            case wire.Closed():
                self.lost("it was closed")
            case _:
                self._take_of(value)

    def _take_of(self, value: wire.OfALife) -> None:
        life = self.lives.get(value.number)
        if isinstance(value, wire.Passed):
            passed = self._link.receive(value.size)
            if life is not None:
                life.values.arrived(passed)
        elif life is None:
            if isinstance(value, wire.Part) and value.known:
                self._link.send(wire.Forget(value.known))
        elif isinstance(value, wire.Wrote | wire.Dropped):
            self._lines.add(life, value)
        elif isinstance(value, wire.Part):
            life.take_part(value)
        else:
            if isinstance(value, wire.Ended):
                self._lines.before_an_end()
            life.take(value)

    def _forget(self, known: int) -> None:
        """The daemon has let go of a value that the agent keeps. Runs in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._link.send, wire.Forget(known))

    def _writable(self) -> None:
        for life in tuple(self.lives.values()):
            life.link_writable()

    def _ended(self, error: Exception | None) -> None:
        """The link is over."""
        self._link_over = f"the agent on {self.name} has ended"
        if error is None:
            self._conclude()
        elif isinstance(error, WireError | msgspec.MsgspecError):
            self._give_up(f"the agent on {self.name} broke the protocol: {error}")
        elif isinstance(error, OSError):
            self._give_up(f"the connection to {self.name} broke: {error}")
            self._conclude()
        else:
            self._give_up(f"what the agent on {self.name} sent failed here: {type(error).__name__}: {error}")

    def _lease_ended(self, error: OSError | None) -> None:
        """The other end of the connection of the lease is closed. Runs in the thread of the leases."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take_end_of_lease, error)

    def _take_end_of_lease(self, error: OSError | None) -> None:
        self._lease_over = error is None
        self._lease_reset = isinstance(error, ConnectionResetError | BrokenPipeError)
        self._conclude()

    def _conclude(self) -> None:
        """All that came over the link is read, and nothing runs there any more: its lives have ended."""
        if self._link_over and (self._lease_over or (self._lease_reset and self._agent_ended)):
            stuck = f"the agent on {self.name} was stuck or cut off, and its guard has ended it" if self.silent else ""
            self.lost(self._broken or stuck or self._agent_ended or self._link_over)

    def _give_up(self, why: str) -> None:
        """Renew its lease no more: then it ends, certainly."""
        if not self._broken:
            self._broken = why
            self._leases.abandon(self._guard)

    # ---- its lease, and its clock

    def _look(self) -> None:
        since = time.monotonic() - self._leases.answered(self._guard)
        if since > self._lease + SLACK:
            why = self._broken or f"nothing was heard of {self.name} for {since:.1f} s"
            self.lost(why)
            return
        self._look_timer = self._loop.call_later(min(self._lease / 4, self._lease + SLACK - since + 0.01), self._look)

    def _ping(self) -> None:
        self._link.send(wire.Ping(time.monotonic_ns()))
        self._ping_timer = self._loop.call_later(self._lease / PINGS, self._ping)
