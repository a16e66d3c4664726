"""Daemons: the daemons of this user, and the one that is meant."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

from supervisor.clock import machine_time
from supervisor.control.frames import Identity
from supervisor.control.socket_path import folders, remove_stale, sockets
from supervisor.ctl.client import Client
from supervisor.ctl.errors import ControlError, NoDaemon

GLANCE: Final = 2.0  # seconds in which a daemon says who it is


class Daemon(NamedTuple):
    """One daemon's tree.

    Attributes:
        path: of its control socket.
        identity: what it says of itself; None when it does not answer.
        trouble: why it does not.
    """

    path: Path
    identity: Identity | None
    trouble: str = ""

    @property
    def pid(self) -> str:
        """Its process id, as the name of the socket has it when it does not answer."""
        return str(self.identity.pid) if self.identity is not None else self.path.name.partition("-")[0]

    @property
    def tree(self) -> str:
        """The path of its tree."""
        return self.identity.tree if self.identity is not None else f"/{self.path.stem.partition('-')[2]}"


def daemons() -> list[Daemon]:
    """All daemons of this user that have a control socket; the sockets of dead ones are removed."""
    found: list[Daemon] = []
    for path in sockets():
        try:
            with Client(path, timeout=GLANCE) as client:
                found.append(Daemon(path, client.identify()))
        except ControlError as error:
            remove_stale(path)
            if path.exists():
                found.append(Daemon(path, None, str(error)))
    return found


def chosen(which: str | None) -> Path:
    """The control socket of the daemon that is meant.

    Args:
        which: a process id, the name of a tree, or the path of a socket; None for the only daemon.

    Raises:
        NoDaemon: there is none, or several could be meant.
    """
    if which and "/" in which.removeprefix("/"):
        return Path(which)
    candidates = sockets()
    if which:
        candidates = [path for path in candidates if _named(path, which.removeprefix("/"))]
    if len(candidates) == 1:
        return candidates[0]
    alive = [daemon for daemon in daemons() if daemon.path in candidates]
    if len(alive) == 1:
        return alive[0].path
    if alive:
        there = ", ".join(f"{daemon.pid} ({daemon.tree})" for daemon in alive)
        raise NoDaemon(
            f"several daemons run: {there}. Choose one after the verb: -d PID or -d TREE, or set ACTORCTL_DAEMON"
        )
    if which:
        raise NoDaemon(f"no daemon of yours is {which!r}; `actorctl ps` lists them")
    places = " and ".join(str(folder) for folder in folders())
    raise NoDaemon(
        f"no daemon of yours has a control socket (looked in {places}); give its tree one: "
        f"Supervisor(..., control='auto')"
    )


class Seen(NamedTuple):
    """A daemon that answered.

    Attributes:
        identity: what it said of itself.
        at: when, in `machine_time()`.
    """

    identity: Identity
    at: float

    def is_followed_by(self, other: Identity) -> bool:
        """Whether another daemon is the same program, begun since; one that ran beside it is a sibling."""
        same = all(getattr(self.identity, name) == getattr(other, name) for name in ("tree", "argv", "cwd"))
        return same and time.time() - other.started < machine_time() - self.at


def seen(client: Client) -> Seen:
    """Which daemon answers there now.

    Raises:
        NoDaemon: none does.
    """
    at = machine_time()
    return Seen(client.identify(), at)


def successor(last: Seen) -> Path:
    """The control socket of the daemon that took the place of one that has ended.

    Raises:
        NoDaemon: there is none, or several could be meant.
    """
    found = [one.path for one in daemons() if one.identity is not None and last.is_followed_by(one.identity)]
    if len(found) != 1:
        few = "none with its command line has started since" if not found else f"{len(found)} could follow it"
        raise NoDaemon(f"the daemon with pid {last.identity.pid} has ended, and {few}; waits for one")
    return found[0]


def reconnected(path: Path, last: Seen | None) -> Client:
    """A connection to the daemon with that control socket, or to the one that has taken its place.

    Args:
        path: of the control socket.
        last: which daemon it was; None when it was not seen yet, so that none can take its place.

    Raises:
        NoDaemon: there is none.
    """
    try:
        return Client(path)
    except ControlError:
        if last is None:
            raise
        return Client(successor(last))


def _named(path: Path, which: str) -> bool:
    pid, _, tree = path.stem.partition("-")
    return which in (pid, tree)
