"""Agent: what one daemon has on one other machine. It runs our own launcher there.

It listens, and takes two connections from the daemon that knows its token: the link, and the one on which its guard
renews the lease. A daemon on the same machine makes a third one before these, over which values in shared memory pass.
The agent's process ends with the link, whatever the reason; the kernel and the orphan reaper then end every life and
what it started.

Runs in a thread of its own with a loop of its own, in a process that does nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Final

import msgspec

from supervisor.cluster.agent import lease_guard
from supervisor.cluster.agent.main_module import main_here
from supervisor.cluster.agent.relay import RelayedLife, RelayLauncher, RelayListener
from supervisor.cluster.agent.sampler import Sampler
from supervisor.cluster.link import handshake, values, wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.stock import KeptValues
from supervisor.cluster.versions import versions
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.rules.spare_count import SpareCount
from supervisor.io.loop_reader import LoopReader

PATIENCE: Final = 60.0  # seconds in which the daemon must have connected
PROOF: Final = 5.0  # seconds for one handshake


class Agent:
    """One agent.

    Args:
        token: which its daemon knows.
        lease: seconds without word from the daemon after which everything here ends.
        spares: how many spares are kept here.
        host: address of this machine, on which it listens.
    """

    def __init__(self, token: bytes, lease: float, spares: SpareCount, host: str) -> None:
        self._token = token
        self._lease = lease
        self._spares = spares
        self._listener = socket.create_server((host, 0), backlog=8)
        self._values, self._values_name = values.listen()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="actors-agent", daemon=True)

    def start(self) -> dict[str, Any]:
        """Begin to listen; returns where, and the versions of what runs here."""
        self._thread.start()
        host, port = self._listener.getsockname()[:2]
        where = {"host": host, "port": port, "values": self._values_name}
        return {**where, **versions()}

    def join(self) -> None:
        """Return when it has ended in good order."""
        self._over.wait()

    def _run(self) -> None:
        try:
            found = self._connections()
            guard = self._start_guard(found[handshake.LEASE])
            signs = Signs(self._held[0], self._lease / lease_guard.QUESTIONS)
            relaying = Relaying(found, guard, signs, self._spares, has_shared_memory=bool(self._values_name))
            asyncio.run(relaying.until_over())
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        self._over.set()

    def _connections(self) -> dict[bytes, socket.socket]:
        """The connections of the daemon, by role. Any other is closed.

        Raises:
            TimeoutError: it has not connected in time.
        """
        found: dict[bytes, socket.socket] = {}
        until = time.monotonic() + PATIENCE
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            for listener in (self._listener, self._values):
                if listener is not None:
                    selector.register(stack.enter_context(listener), selectors.EVENT_READ)
            while not found.keys() >= {handshake.STREAM, handshake.LEASE}:
                ready = selector.select(max(0.0, until - time.monotonic()))
                if not ready:
                    raise TimeoutError(f"no daemon has connected within {PATIENCE:g} s")
                for key, _ in ready:
                    self._accept(key.fileobj, found)  # type: ignore[arg-type]  # what was registered
        return found

    def _accept(self, listener: socket.socket, found: dict[bytes, socket.socket]) -> None:
        sock, _ = listener.accept()
        sock.settimeout(PROOF)
        try:
            found[handshake.accept(sock, self._token)] = sock
        except OSError:
            sock.close()

    def _start_guard(self, lease: socket.socket) -> int:
        """Returns the descriptor that is readable when the guard has ended."""
        seen, held = os.pipe()
        fds = (lease.fileno(), seen)
        words = [sys.executable, "-I", "-S", lease_guard.__file__, str(os.getpid()), str(self._lease), *map(str, fds)]
        guard = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=fds)  # noqa: S603
        os.set_inheritable(held, False)
        os.set_blocking(held, False)
        os.close(seen)
        if guard.stdout is None or os.read(guard.stdout.fileno(), 1) != b"+":
            raise OSError("the guard of the lease could not be started")
        self._held = held, guard  # open as long as this process
        return guard.stdout.fileno()


class Signs:
    """Shows the guard that the loop of this agent runs.

    Args:
        pipe: to the guard.
        pause: seconds between two signs.
    """

    def __init__(self, pipe: int, pause: float) -> None:
        self._pipe = pipe
        self._pause = pause

    def give(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give a sign now, and again and again. A guard that takes none has ended, or stands still."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, b".")
        loop.call_later(self._pause, self.give, loop)


class Relaying:
    """The agent at work, on its loop.

    Args:
        sockets: the connections of the daemon, by role; of the lease this process only holds an end.
        guard: readable when the guard of the lease has ended.
        signs: for the guard.
        spares: how many are kept.
        has_shared_memory: whether this machine has.
    """

    def __init__(
        self,
        sockets: dict[bytes, socket.socket],
        guard: int,
        signs: Signs,
        spares: SpareCount,
        *,
        has_shared_memory: bool,
    ) -> None:
        self.kept = KeptValues()
        self._has_shared_memory = has_shared_memory
        self._stream = sockets[handshake.STREAM]
        self._values = sockets.get(handshake.VALUES)
        self._lease = sockets[handshake.LEASE].detach()
        self._guard = guard
        self._signs = signs
        self._spares = spares
        self._lives: dict[int, RelayListener] = {}

    async def until_over(self) -> None:
        """Serve the daemon until it says that all is over. When the link breaks this process ends at once."""
        loop = asyncio.get_running_loop()
        reader = LoopReader(loop)
        loop.add_reader(self._guard, os._exit, 1)
        self._signs.give(loop)
        self.link = Link(
            self._stream,
            reader,
            values=None if self._values is None else values.Values(self._values, reader, loop),
            joins_values=self._has_shared_memory,
            on_bytes=self._take_bytes,
            on_value=self._take,
            on_room=self._writable,
            on_end=_link_over,
        )
        self._launcher = RelayLauncher(
            loop,
            reader,
            self._spares,
            lambda why: self.link.send(wire.ReaperLost(why)),
            lambda module, why: self.link.send(wire.SpareFailed(module, why)),
            link=self.link,
            lease=self._lease,
        )
        self._sampler = Sampler(loop, self.link)
        self._finished = asyncio.Event()
        await self._finished.wait()
        await self._launcher.close()
        self.link.send(wire.Closed())
        await asyncio.sleep(PROOF)  # the daemon closes the link, which ends this process

    def over(self, number: int) -> None:
        """A life has ended."""
        del self._lives[number]
        self._sampler.forget(number)

    def _writable(self) -> None:
        """Nothing waits in the link: bytes of channels, which each life's windows bound, and lines."""
        for one in tuple(self._lives.values()):
            one.tell_dropped()

    def _take_bytes(self, number: int, data: bytes) -> None:
        one = self._lives.get(number)
        if one is not None:
            one.take_bytes(data)
            self._sampler.stir(one)

    def _take(self, data: bytes) -> None:
        match value := wire.read_to_agent(data):
            case wire.Begin():
                self._begin(value)
            case wire.Ping():
                self.link.send(wire.Pong(value.sent, time.monotonic_ns()))
            case wire.Preload():
                self._launcher.preload(value.module, main_here(value.main))
            case wire.WindDown():
                self._launcher.wind_down()
            case wire.Forget():
                self.kept.forget(value.known)
            case wire.Close():
                self._finished.set()
            case wire.Passed():
                passed = self.link.receive(value.size)
                one = self._lives.get(value.number)
                if one is not None:
                    one.life.pass_on(passed)
            case _:
                one = self._lives.get(value.number)
                if one is not None:
                    self._do(one, value)

    def _do(
        self,
        one: RelayListener,
        value: wire.StopLife
        | wire.KillLife
        | wire.Ring
        | wire.AskHeartbeat
        | wire.DumpStacks
        | wire.Took
        | wire.Part
        | wire.Given,
    ) -> None:
        match value:
            case wire.Ring():
                one.life.ring()
                one.rings += 1
                self._sampler.stir(one)
            case wire.StopLife():
                one.life.stop()
            case wire.KillLife():
                one.life.kill()
            case wire.AskHeartbeat():
                one.life.ask_heartbeat()
                self._sampler.expect_text(one)
            case wire.DumpStacks():
                one.life.dump_stacks()
                self._sampler.expect_text(one)
            case wire.Took():
                one.took(value.size)
            case wire.Part():
                one.take_part(value)
            case wire.Given():
                one.life.pass_on(self.kept.get(value.known))

    def _begin(self, value: wire.Begin) -> None:
        one = RelayListener(value.number, self)
        start = msgspec.structs.replace(value.start, main=main_here(value.start.main))
        try:
            life = self._launcher.launch(start, value.lanes, one)
        except OSError as error:
            why = f"the process could not be started: {error}"
            self.link.send(wire.Ended(value.number, LifeEnd(pid=None, exit_code=None, wire_error=why)))
            return
        assert isinstance(life, RelayedLife)  # noqa: S101 - the launcher makes no other
        one.life = life
        self._lives[value.number] = one
        self._sampler.begin(one)


def _link_over(error: Exception | None) -> None:
    """The daemon is gone, or not understood: this process ends at once, and with it every life."""
    if error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
    os._exit(1)
