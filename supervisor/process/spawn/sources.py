"""Sources: which files a process reads for its modules, and whether one that starts now would read the same.

A file counts with its time, size and inode, one inside an archive as the archive. A folder of `sys.path` or of a
package counts with those entries that could be one of the loaded modules: what is new there may be found first.

Runs on the loop's thread. A look at a folder to which nothing was added is one system call.
"""

from __future__ import annotations

import os
import stat
import sys
from importlib.machinery import all_suffixes
from typing import Final

from supervisor.shadowing import STANDARD_LIBRARY

_OURS: Final = frozenset({"actors", "supervisor"})
_LIBRARIES: Final = ("site-packages", "dist-packages")
_SUFFIXES: Final = ("", *all_suffixes())

Stamp = tuple[int, int, int]  # of a file: mtime, size, inode; of a folder no more than that it is one
_FOLDER: Final[Stamp] = (0, 0, 0)


class Sources:
    """The files of loaded modules: all in the packages of `modules`, and all outside of libraries.

    This project is a library wherever it is: also in a checkout, where its files are many.

    Args:
        modules: that a process imports.
    """

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        self._of = modules, len(sys.modules)
        self._files: dict[str, Stamp | None] = {}
        names: dict[str, set[str]] = {}  # of modules, by the folder in which they may be found
        roots = tuple(os.path.abspath(entry) for entry in sys.path if not _in_library(entry))
        packages = {module.partition(".")[0] for module in modules}
        loaded = list(sys.modules.items()) if modules else []  # a tuple is not made at once where there is no GIL
        for name, module in loaded:
            file = getattr(module, "__file__", None)
            package = name.partition(".")[0]
            if isinstance(file, str) and (package in packages or not (package in _OURS or _in_library(file))):
                self._files[file] = _stamp(file)
                if not _in_library(file):
                    _note(names, roots, package)
                    _note(names, _path_of(name.rpartition(".")[0]), name.rpartition(".")[2])
        self._folders = {(path, frozenset(there)): _Folder(path, there) for path, there in names.items()}

    def __contains__(self, file: str) -> bool:
        return file in self._files

    def keep(self, older: Sources) -> None:
        """Files that were read before count as they were then."""
        self._files.update(older._files)
        self._folders.update(older._folders)

    def covers(self, modules: tuple[str, ...]) -> bool:
        """Whether it is of these modules, and the daemon has imported nothing since."""
        return self._of == (modules, len(sys.modules))

    @property
    def unchanged(self) -> bool:
        """Whether a process that starts now would read the same."""
        return all(_stamp(file) == was for file, was in self._files.items()) and all(
            folder.unchanged for folder in self._folders.values()
        )


def sources_now(modules: tuple[str, ...], before: Sources | None) -> Sources:
    """What a process that imports these modules reads now; `before` itself, which takes less, while it is the same."""
    if before is not None and before.covers(modules) and before.unchanged:
        return before
    return Sources(modules)


class _Folder:
    """What in one folder could be one of some modules.

    Args:
        path: of the folder.
        names: of the modules.
    """

    def __init__(self, path: str, names: set[str]) -> None:
        self._path = path
        self._entries = frozenset(name + suffix for name in names for suffix in _SUFFIXES)
        self._changed_at = self._time()
        self._found = {entry: self._stamp_of(entry) for entry in self._look()}

    @property
    def unchanged(self) -> bool:
        """Whether it is the same now."""
        changed_at = self._time()
        if changed_at != self._changed_at:  # something was added or removed, which need not be one of them
            if self._look() != self._found.keys():
                return False
            self._changed_at = changed_at
        return all(self._stamp_of(entry) == was for entry, was in self._found.items())

    def _time(self) -> int:
        try:
            return os.stat(self._path).st_mtime_ns
        except OSError:
            return 0

    def _look(self) -> frozenset[str]:
        try:
            return self._entries.intersection(os.listdir(self._path))
        except OSError:  # it is an archive, or not there
            return frozenset()

    def _stamp_of(self, entry: str) -> Stamp | None:
        return _stamp(os.path.join(self._path, entry))


def _note(names: dict[str, set[str]], folders: tuple[str, ...], name: str) -> None:
    for folder in folders:
        names.setdefault(folder, {"__init__"}).add(name)


def _path_of(package: str) -> tuple[str, ...]:
    """The folders of a package."""
    return tuple(folder for folder in getattr(sys.modules.get(package), "__path__", ()) if isinstance(folder, str))


def _in_library(file: str) -> bool:
    return file.startswith(STANDARD_LIBRARY) or any(folder in file for folder in _LIBRARIES)


def _stamp(file: str) -> Stamp | None:
    """Of a file, or of the archive that it is in; None when there is none."""
    try:
        found = os.stat(file)
    except NotADirectoryError:
        return _stamp(os.path.dirname(file))
    except (OSError, ValueError):
        return None
    return _FOLDER if stat.S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_size, found.st_ino)
