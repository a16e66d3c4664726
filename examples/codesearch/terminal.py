"""What a person sees: progress, a line for each kill, the figures at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from examples.codesearch.chronicle import Chronicle
from examples.codesearch.crawl import Outcome
from examples.codesearch.messages import Hit

Fields = MutableMapping[str, Any]
TOLD = ("actor", "life", "reason", "error", "message", "detail", "supervisor")  # of a log line


class Terminal:
    """Lines above, a progress bar below; plain lines where the output is no terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)

    def say(self, line: str, style: str = "") -> None:
        self.console.print(Text(line), style=style)

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[], None]]:
        """While inside: a bar. Gives what advances it."""
        bar = Progress(
            TextColumn("indexing"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        with bar:
            task = bar.add_task("files", total=total)
            yield lambda: bar.advance(task)

    def report(self, outcome: Outcome, chronicle: Chronicle) -> None:
        """The figures."""
        kills = ", ".join(f"{actor} {count}" for actor, count in sorted(chronicle.kills.items()))
        figures = (
            ("files found", outcome.found, ""),
            ("files indexed", outcome.indexed, ""),
            ("kills survived", chronicle.kills.total(), kills),
            ("redelivered", chronicle.redelivered, "messages a kill interrupted in their handler"),
            ("lost", len(outcome.lost), ""),
            ("counted twice", len(outcome.twice), ""),
            ("seconds", f"{outcome.seconds:.1f}", ""),
        )
        self.say("")
        for name, figure, remark in figures:
            self.console.print(f"{name:<15} [bold]{figure:>6}[/bold]" + (f"  [dim]{remark}[/dim]" if remark else ""))
        for path in (outcome.lost + outcome.twice)[:10]:
            self.say(f"  {path}: {outcome.errors.get(path, 'no error was reported')}", style="red")

    def hits(self, query: str, hits: list[Hit]) -> None:
        """The answers to one query."""
        self.say(f"\n{query!r}", style="bold")
        wide = not self.console.is_terminal  # into a file goes the whole line
        for hit in hits:
            line = Text.assemble("  ", (hit.path, "cyan"), "  ", hit.snippet.strip())
            self.console.print(line, no_wrap=True, overflow="ellipsis", soft_wrap=wide)
        if not hits:
            self.say("  nothing")

    def use_for_logs(self) -> None:
        """Let the supervisor's log lines appear above the bar; kills have their own line already."""
        structlog.configure(
            processors=[_no_kills, structlog.processors.add_log_level, self._log],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=lambda *_: self,
        )

    def _log(self, _logger: object, _method: str, fields: Fields) -> str:
        known = ", ".join(f"{name} {fields[name]}" for name in TOLD if name in fields)
        return f"{fields['level']}: {fields['event']}: {known}"

    warning = error = critical = say  # what structlog calls with the line


def _no_kills(_logger: object, _method: str, fields: Fields) -> Fields:
    if fields["event"] == "child.exited" and fields.get("signal") == "SIGKILL":
        raise structlog.DropEvent
    return fields
