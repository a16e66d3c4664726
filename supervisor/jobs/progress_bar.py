"""A bar on stderr that shows how far a map is.

`rich` is imported only when a bar is shown. A bar that cannot be shown ends no map.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TextIO, cast

from actors.errors import ActorsError, UsageError

Count = Callable[[Any], None]


def progress_bar(items: object, description: str) -> AbstractContextManager[Count]:
    """A bar, which is shown while it is entered, and counts the outcomes that it is called with, and the errors there.

    Args:
        items: of the map; where they know their number, the bar shows the share and the time that is left.
        description: stands before the bar, as it is.

    Raises:
        UsageError: rich is not installed.
    """
    try:
        from rich import console, progress  # noqa: PLC0415 - an extra, imported when it is used
    except ImportError:
        raise UsageError(
            "progress= of a map needs rich, which is not installed: pip install 'actor-supervisor[rich]'"
        ) from None
    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[failed]}", style="red", markup=False),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(file=cast("TextIO", _Shown(sys.stderr))),
    )
    return _counting(bar, description, len(items) if isinstance(items, Sized) else None)


@contextmanager
def _counting(bar: Any, description: str, total: int | None) -> Iterator[Count]:
    failed = 0

    def count(outcome: Any) -> None:
        nonlocal failed
        failed += isinstance(outcome, ActorsError)
        bar.update(task, advance=1, failed=f"{failed} failed" if failed else "")

    with bar:
        task = bar.add_task(description, total=total, failed="")
        yield count


class _Shown(io.TextIOBase):
    """A text stream that drops what the one below it does not take.

    rich answers a stderr whose reader has gone by ending the program, with stdout closed; a full disk would raise.

    Args:
        stream: the one below, None without one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream: rich draws with its characters."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the stream is a terminal, on which a bar moves."""
        with contextlib.suppress(AttributeError, OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def write(self, text: str) -> int:
        """Write what can be written."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed, or cannot encode it
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.flush()
