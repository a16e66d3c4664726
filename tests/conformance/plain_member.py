"""A worker of the table that is not an actor: a function's process, a program, or a task of the daemon.

It takes its orders from a file beside its book, since it has no mailbox. A program imports nothing of the project.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

LOOK = 0.005  # seconds between two looks for an order


def order(book: Path, how: str) -> None:
    """Tell the member of this book how to end."""
    draft = book.with_suffix(".draft")
    draft.write_text(how)
    draft.rename(book.with_suffix(".order"))


def begin(book: Path, fails: tuple[int | str, ...]) -> None:
    """Note one start more; raise if it is one of those that fail."""
    with book.open("ab") as lines:
        lines.write(b".")
        start = lines.tell()
    if start in fails or any(isinstance(nth, str) and start >= int(nth[:-1]) for nth in fails):
        raise OSError("this start fails")


def ordered(book: Path) -> str:
    """How to end, or an empty text."""
    try:
        how = book.with_suffix(".order").read_text()
    except FileNotFoundError:
        return ""
    book.with_suffix(".order").unlink()
    return how


def process(book: str, fails: tuple[int | str, ...], *, ready: Callable[[], object]) -> None:
    """What a function's process and a program do."""
    begin(Path(book), fails)
    ready()
    while not (how := ordered(Path(book))):
        time.sleep(LOOK)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        raise RuntimeError("told to crash")


async def task(book: str, fails: tuple[int | str, ...], *, ready: Callable[[], object]) -> None:
    """What a task does. Nothing can kill a task, so a kill is an exception, too."""
    import asyncio  # noqa: PLC0415 - processes and programs do without

    begin(Path(book), fails)
    ready()
    while not (how := ordered(Path(book))):
        await asyncio.sleep(LOOK)
    if how in ("kill", "crash"):
        raise RuntimeError("told to crash")


if __name__ == "__main__":
    process(
        sys.argv[1],
        tuple(nth if nth.endswith("-") else int(nth) for nth in sys.argv[2:]),
        ready=lambda: os.write(1, b"ready\n"),
    )
