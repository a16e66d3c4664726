"""Progress: a bar on stderr that shows how far a map is.

`rich` is imported only when a bar is shown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sized
from contextlib import aclosing
from typing import Any

from actors.errors import ActorsError, UsageError


def shown_progress(outcomes: AsyncGenerator[Any, None], items: object, description: str) -> AsyncGenerator[Any, None]:
    """The same outcomes; a bar counts them, and the errors among them.

    Args:
        outcomes: of a map.
        items: of the map; where they know their number, the bar shows the share and the time that is left.
        description: stands before the bar.

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
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[failed]}"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(stderr=True),
    )
    return _counted(outcomes, bar, description, len(items) if isinstance(items, Sized) else None)


async def _counted(
    outcomes: AsyncGenerator[Any, None], bar: Any, description: str, total: int | None
) -> AsyncGenerator[Any, None]:
    failed = 0
    with bar:
        task = bar.add_task(description, total=total, failed="")
        async with aclosing(outcomes):
            async for outcome in outcomes:
                failed += isinstance(outcome, ActorsError)
                bar.update(task, advance=1, failed=f"[red]{failed} failed" if failed else "")
                yield outcome
