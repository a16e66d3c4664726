"""Socket paths: where the control sockets of a user's daemons are, and how one is made and removed.

    $XDG_RUNTIME_DIR/actors/, else /tmp/actors-UID/: mode 0700, of this user
        4711-root.sock                               mode 0600; or a symbolic link to a socket at a path of its own

Runs in the daemon on the loop's thread, and in `actorctl`. Nothing waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
from pathlib import Path
from typing import Final, NamedTuple

from actors.bounds import MAX_SOCKET_PATH, shown
from actors.errors import UsageError

AUTO: Final = "auto"
SUFFIX: Final = ".sock"
_NAME: Final = 40  # characters of the tree's name in the name of a socket
_BACKLOG: Final = 512  # who connects beyond them is refused by the system; those beyond the most clients are told why


class Door(NamedTuple):
    """A listening control socket.

    Attributes:
        listener: the socket.
        path: where it is.
        link: the symbolic link that shows it to `ps`, None where there is none.
        file: device and inode of the socket's file.
    """

    listener: socket.socket
    path: Path
    link: Path | None
    file: tuple[int, int] | None

    def close(self) -> None:
        """Stop listening, and remove what was made; a file that another daemon put there stays."""
        with contextlib.suppress(OSError):
            if _file(self.path) == self.file:
                self.path.unlink()
        with contextlib.suppress(OSError):
            if self.link is not None and self.link.readlink() == self.path:
                self.link.unlink()
        self.listener.close()


def check_control(control: object) -> None:
    """Check the argument `control` of a Supervisor.

    Raises:
        UsageError: there can be no socket of it.
    """
    if control is None or (isinstance(control, str) and control == AUTO):
        return
    if not isinstance(control, str | os.PathLike) or not os.fspath(control):
        raise UsageError(f"control must be 'auto', the path of a socket, or None; it is {shown(control)}")
    _check_length(_absolute(control))


def open_door(control: str | os.PathLike[str], tree: str) -> Door:
    """Make the control socket of a tree.

    Args:
        control: "auto", or a path.
        tree: the tree's name.

    Raises:
        UsageError: the directory is not this user's alone, the path is too long, or another daemon listens there.
        OSError: the system has no socket left, or does not allow one there.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError("control needs Unix sockets, and this system has none; leave it out")
    short = re.sub(r"[^\w.-]", "_", tree)[:_NAME] or "tree"
    if control != AUTO:
        path = _absolute(control)
        door = _door(path)
        return door._replace(link=_shown(path, short))
    folder = own_folder()
    for number in range(1, 1000):
        again = "" if number == 1 else f"-{number}"
        path = folder / f"{os.getpid()}-{short}{again}{SUFFIX}"
        try:
            return _door(path)
        except _Taken:
            continue  # another tree of this daemon with the same name
    raise UsageError(f"{folder} has no free name for the control socket of {tree!r}")


def _door(path: Path) -> Door:
    return Door(_listening(path), path, None, _file(path))


class _Taken(UsageError):
    """Another daemon listens there."""


def own_folder() -> Path:
    """The directory of this user's control sockets; made when it is missing.

    Raises:
        UsageError: it is not this user's alone.
        OSError: it cannot be made.
    """
    folder = folders()[0]
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    wrong = _not_ours(folder)
    if wrong:
        raise UsageError(
            f"the directory of control sockets, {folder}, {wrong}: remove it, set XDG_RUNTIME_DIR to a directory of "
            f"yours, or give control= a path"
        )
    return folder


def _temporary() -> str:
    import tempfile  # noqa: PLC0415 - it imports much

    return tempfile.gettempdir()


def folders() -> list[Path]:
    """Where control sockets of this user may be; a new one goes into the first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    private = Path(runtime, "actors")
    shared = Path("/tmp" if os.access("/tmp", os.W_OK) else _temporary(), f"actors-{os.geteuid()}")  # noqa: S108
    usable = Path(runtime).is_absolute() and not _not_ours(Path(runtime)) if runtime else False
    return [private, shared] if usable else [shared]


def sockets() -> list[Path]:
    """The control sockets in this user's directories, also stale ones; those of other users are left alone."""
    found: list[Path] = []
    for folder in folders():
        if folder.is_dir() and not _not_ours(folder):
            found += sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (_pid_of(path), path.name))
    return found


def remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that is gone; only what has the name of one in our directory."""
    with contextlib.suppress(OSError):
        if _pid_of(path) and not _runs(_pid_of(path)):
            path.unlink()


def _pid_of(path: Path) -> int:
    """The process id in the name of a socket, 0 without one."""
    pid = path.name.partition("-")[0]
    return int(pid) if pid.isascii() and pid.isdigit() and len(pid) < 12 else 0


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _listening(path: Path) -> socket.socket:
    """A socket that listens at a path, for this user alone; the file of a dead daemon there is replaced."""
    _check_length(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        with contextlib.suppress(OSError):
            os.fchmod(listener.fileno(), 0o600)  # Linux makes the file with this mode, so there is no moment without
        try:
            listener.bind(str(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OSError(error.errno, f"control socket {path}: {error.strerror}") from None
            _remove_dead(path)
            listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_dead(path: Path) -> None:
    """Remove a socket at which no daemon listens.

    Raises:
        UsageError: a daemon listens there, or it is no socket.
    """
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise UsageError(f"control={str(path)!r}: this file is there and is not a socket; name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:  # its backlog is full: it lives
            pass
    raise _Taken(f"control={str(path)!r}: another daemon listens there; name another path, or use 'auto'")


def _shown(path: Path, short: str) -> Path | None:
    """A link in this user's directory to a socket elsewhere, so that `ps` finds it; None where that does not work."""
    try:
        link = own_folder() / f"{os.getpid()}-{short}{SUFFIX}"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    except (UsageError, OSError):
        return None
    return link


def _not_ours(folder: Path) -> str:
    """Why a directory is not this user's alone, or an empty string."""
    try:
        found = folder.lstat()
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory"
    if found.st_uid != os.geteuid():
        return f"belongs to the user {found.st_uid}"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def _absolute(control: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(os.path.expanduser(os.fspath(control))))  # noqa: PTH100, PTH111 - no link is resolved


def _check_length(path: Path) -> None:
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH:
        raise UsageError(
            f"control={str(path)!r} has {size} bytes; the path of a Unix socket has at most {MAX_SOCKET_PATH}"
        )


def _file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)
