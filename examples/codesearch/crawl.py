"""The crawl: every file of a tree goes through a parser into the index; then the index is asked what it has."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from actors import ActorRef, ActorsError
from examples.codesearch.messages import Census, Clear, Parse, Store

UNDER_WAY = 32  # files between the tree and the index at a time
SKIPPED = {"site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True)
class Outcome:
    """What a crawl came to: read from the index, not from our own counters."""

    found: int
    indexed: int
    lost: list[str]
    twice: list[str]
    errors: dict[str, str]
    seconds: float

    @property
    def complete(self) -> bool:
        """Every file is in the index once."""
        return self.indexed == self.found and not (self.lost or self.twice)


def walk(root: Path) -> list[str]:
    """Every Python file below `root`, relative to it. Blocks."""
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED)
        paths = (Path(folder, file) for file in sorted(files) if file.endswith(".py") and file.isprintable())
        found += [path.relative_to(root).as_posix() for path in paths if path.is_file()]
    return found


@dataclass
class Crawl:
    """One crawl; `advance` is told of each file that is through."""

    parser: ActorRef
    index: ActorRef
    advance: Callable[[], None]
    errors: dict[str, str] = field(default_factory=dict)

    async def run(self, files: list[str]) -> Outcome:
        """Bring every file into an empty index."""
        begun = time.monotonic()
        await self.index.ask(Clear(), timeout=None)
        waiting = iter(files)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(UNDER_WAY):
                tasks.create_task(self._carry(waiting))
        census = await self.index.ask(Census(), timeout=None)
        return Outcome(
            found=len(files),
            indexed=len(census),
            lost=[path for path in files if path not in census],
            twice=[path for path, times in census.items() if times > 1],
            errors=self.errors,
            seconds=time.monotonic() - begun,
        )

    async def _carry(self, waiting: Iterator[str]) -> None:
        """Carry one file after the other through both actors.

        No timeout and no retry here: every ask ends with a reply, or with an error that says what became of it.
        """
        for path in waiting:
            try:
                page = await self.parser.ask(Parse(path), timeout=None)
                await self.index.ask(Store(page), timeout=None)
            except ActorsError as error:
                self.errors[path] = str(error)
            self.advance()
