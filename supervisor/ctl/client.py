"""Client: the control socket of one daemon, as typed calls that block. For scripts, `actorctl`, and pages of your own.

    with connect(path) as daemon:
        print(daemon.tree().root)

Runs in any thread of any process of the daemon's user; one client is for one thread at a time.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from actors.bounds import check_time
from actors.errors import UsageError
from supervisor.control import frames as wire
from supervisor.control.frames import Failed, Reply, Request
from supervisor.control.framing import HEAD, MAX_REPLY, MAX_REQUEST, BadFrame, Cutter, framed, read_reply, read_request
from supervisor.control.peer import may_control, peer_uid
from supervisor.ctl.errors import NoDaemon, RequestFailed

R = TypeVar("R", bound=Reply)

PATIENCE: Final = 5.0  # seconds that a daemon has to answer what it can answer at once
_CHUNK: Final = 256 * 1024


class Client:
    """A connection to one daemon; close it, or use it in a `with`.

    Args:
        path: of the control socket.
        timeout: seconds for the daemon to answer what it can answer at once.

    Raises:
        NoDaemon: no daemon listens there.
        UsageError: here and in each request: a time that is none, or a value that the daemon does not take.
    """

    def __init__(self, path: Path, *, timeout: float = PATIENCE) -> None:
        check_time("timeout of a Client", timeout)
        self.path = path
        self._timeout = timeout
        self._cutter = Cutter(MAX_REPLY)
        self._replies: deque[bytes] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
            self._check_peer()
        except (FileNotFoundError, ConnectionRefusedError):
            self._socket.close()
            raise NoDaemon(f"no daemon listens at {path}") from None
        except OSError as error:
            self._socket.close()
            raise NoDaemon(f"{path}: {error.strerror or error}") from None
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def interrupt(self) -> None:
        """End the connection from another thread: a call that waits for a reply raises `NoDaemon`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def fileno(self) -> int:
        """The descriptor of the connection."""
        return self._socket.fileno()

    # ---- requests

    def identify(self) -> wire.Identity:
        """Which daemon this is."""
        return self._one(wire.Identify(), wire.Identity)

    def tree(self) -> wire.Tree:
        """The whole tree now."""
        return self._one(wire.ShowTree(), wire.Tree)

    def why(self, name: str = "") -> tuple[wire.Explanation, ...]:
        """Why a child is as it is; without a name, each child that is not well, else the root."""
        return self._one(wire.Explain(name), wire.Explanations).found

    def stacks(self, name: str) -> tuple[wire.ProcessStacks, ...]:
        """Where the code of a child is now, process by process; the daemon takes some seconds at most."""
        return self._within(self._timeout + 5.0, wire.TakeStacks(name), wire.Stacks).processes

    def events(self, last: int = 100, *, follow: bool = False) -> Iterator[wire.Occurred]:
        """The last events; with `follow` also those that come, until the tree is down."""
        return self._many(wire.ShowEvents(last, follow), wire.Occurred)

    def tell(self, name: str, message: str, body: str = "{}", *, timeout: float | None = None) -> str:
        """Send a message, its fields as a JSON object. Waits for room in the mailbox, `timeout` None for ever."""
        if timeout is not None:
            check_time("timeout of tell", timeout, otherwise=", or None to wait for ever")
        return self._within(timeout, wire.Tell(name, message, body), wire.Done).detail

    def ask(self, name: str, message: str, body: str = "{}", *, timeout: float = 5.0) -> str:
        """Send a message and wait for its reply, which is JSON."""
        check_time("timeout of ask", timeout)
        return self._within(timeout + self._timeout, wire.Ask(name, message, body, timeout), wire.Answered).body

    def start(self, name: str) -> str:
        """Start a child that is down; returns when it is ready, as all changes with one line for a person."""
        return self._change(wire.Start(name))

    def stop(self, name: str) -> str:
        """Stop a child; returns when it is down."""
        return self._change(wire.Stop(name))

    def restart(self, name: str) -> str:
        """Replace the processes of a child by new ones; returns when they are ready."""
        return self._change(wire.Restart(name))

    def resize(self, name: str, size: int) -> str:
        """Give a pool another number of processes; returns when they are ready, or down."""
        return self._change(wire.Resize(name, size))

    def dead(self, name: str = "") -> wire.DeadLetters:
        """The dead letters of an actor; of all without a name."""
        return self._one(wire.ListDead(name), wire.DeadLetters)

    def dead_letter(self, letter: str) -> wire.Letter:
        """One dead letter with its message."""
        return self._one(wire.ShowDead(letter), wire.DeadLetters).letters[0]

    def requeue(self, *letters: str) -> str:
        """Send the messages of dead letters again."""
        return self._change(wire.RequeueDead(letters))

    def drop(self, *letters: str) -> str:
        """Drop dead letters."""
        return self._change(wire.DropDead(letters))

    def metrics(self) -> str:
        """The metrics as Prometheus' text."""
        return self._one(wire.ShowMetrics(), wire.Text).text

    # ---- inside

    def _change(self, request: Request) -> str:
        """A change takes as long as it takes: a start, a grace."""
        return self._within(None, request, wire.Done).detail

    def _check_peer(self) -> None:
        """Another user's process could listen in a directory that is open to all."""
        if not may_control(peer_uid(self._socket)):
            raise NoDaemon(f"{self.path} belongs to the process of another user")

    def _one(self, request: Request, kind: type[R]) -> R:
        """The one reply to a request that can be answered at once."""
        return self._within(self._timeout, request, kind)

    def _within(self, timeout: float | None, request: Request, kind: type[R]) -> R:
        """The one reply to a request, in that time.

        Raises:
            RequestFailed: the daemon says no.
            NoDaemon: it does not answer, or is gone.
        """
        self._send(request)
        return self._reply(kind, timeout)

    def _many(self, request: Request, kind: type[R]) -> Iterator[R]:
        """The replies to a request, as they come, until the daemon says that it is done."""
        self._send(request)
        while isinstance(reply := self._reply(Reply, None), kind):
            yield reply

    def _send(self, request: Request) -> None:
        try:
            frame = framed(request)
            read_request(frame[HEAD:])
        except UnicodeEncodeError as error:
            raise UsageError(f"{error.object!a} is not a text: it has bytes that are not UTF-8") from None
        except (OverflowError, BadFrame) as error:
            raise UsageError(f"the daemon takes no such {type(request).__name__}: {error}") from None
        if len(frame) > MAX_REQUEST + HEAD:
            size = f"{len(frame) - HEAD:,} bytes; a request has at most {MAX_REQUEST:,}"
            raise UsageError(f"this {type(request).__name__} has {size}: let the daemon read what is larger itself")
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(frame)
        except OSError as error:
            raise NoDaemon(f"the daemon at {self.path} is gone ({error.strerror or error})") from None

    def _reply(self, kind: type[R], timeout: float | None) -> R:
        try:
            while not self._replies:
                self._socket.settimeout(timeout)
                data = self._socket.recv(_CHUNK)
                if not data:
                    raise NoDaemon(f"the daemon at {self.path} has ended")
                self._replies.extend(self._cutter.feed(data))
            reply = read_reply(self._replies.popleft())
        except TimeoutError:
            raise NoDaemon(
                f"the daemon at {self.path} did not answer within {timeout:g} s: its event loop is blocked, or its "
                f"process is stopped"
            ) from None
        except OSError as error:
            raise NoDaemon(f"the daemon at {self.path} is gone ({error.strerror or error})") from None
        except BadFrame as error:
            raise NoDaemon(f"{self.path}: {error}") from None
        if isinstance(reply, Failed):
            raise RequestFailed(reply)
        if not isinstance(reply, kind):
            raise NoDaemon(f"{self.path}: the daemon's answer is another one than expected")
        return reply


def connect(path: str | Path, *, timeout: float = PATIENCE) -> Client:
    """A connection to the daemon that listens at a path.

    Raises:
        NoDaemon: there is none.
    """
    return Client(Path(path), timeout=timeout)
