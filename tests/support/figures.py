"""Figures: what long runs measured, and where it is written down.

`make chaos`, `make soak` and `make sweep` write docs/explanation/reliability.md, `make pythons` and `make crossings`
docs/how-to/where-it-runs.md.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "docs/explanation/reliability.md"
PLACES = ROOT / "docs/how-to/where-it-runs.md"

FAULTS: list[tuple[str, int, int, int, int, float, float, float, str]] = []
"""Name, rounds, messages, lost, doubled, longest stall, of which computed, longest recovery, the cause as reported."""

SOAKS: list[tuple[float, int, int, Any, Any, Any, float, float]] = []
"""Seconds, kills, messages, the first sample, that with the most memory, the last, longest stall, of which computed."""

PHASES = (
    "first start", "messages", "restart", "reading=loop", "function", "command", "start_child", "resize", "recycle",
    "spare refill", "forced kill", "stop",
)  # fmt: skip
"""Of the sweep, in the order of their columns."""

SWEEPS: list[tuple[str, str, int, int, int]] = []
"""Phase, function, and how many of the runs worked all the same, told an error, were a failed start."""


def show(terminalreporter: Any, *names: str) -> None:
    """Show these tables at the end of a long run; those of a run without failures are written down."""
    made = {name: table for name, table in tables().items() if name in names}
    for name, table in made.items():
        terminalreporter.section(name)
        terminalreporter.write_line(table)
    if not terminalreporter.stats.get("failed"):
        write(made)


def tables() -> dict[str, str]:
    """What was measured, as Markdown, by the name of its section."""
    made = {}
    if FAULTS:
        made["faults"] = faults()
    if SOAKS:
        made["soak"] = soaks()
    if SWEEPS:
        made["sweep"] = sweeps()
    return made


def faults() -> str:
    """One line for each fault, and one for all."""
    head = (
        "| fault | times | messages | lost | doubled | longest stall | computing | longest recovery | the report says |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    for name, rounds, sent, lost, doubled, stall, computed, recovery, cause in FAULTS:
        lines.append(
            f"| {name} | {rounds} | {sent:,} | {lost} | {doubled} | {stall * 1000:.0f} ms | {computed * 1000:.0f} ms "
            f"| {recovery * 1000:.0f} ms | `{cause}` |"
        )
    total = [sum(column) for column in zip(*((row[1], row[2], row[3], row[4]) for row in FAULTS), strict=True)]
    stall, computed, recovery = (max(row[place] for row in FAULTS) for place in (5, 6, 7))
    lines.append(
        f"| **all** | {total[0]} | {total[1]:,} | {total[2]} | {total[3]} | {stall * 1000:.0f} ms "
        f"| {computed * 1000:.0f} ms | {recovery * 1000:.0f} ms | |"
    )
    return "\n".join((where(), "", *lines))


def soaks() -> str:
    """One line for each soak."""
    head = (
        "| seconds | kills | messages | threads | descriptors | memory after a third | most | at the end "
        "| longest stall | computing |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for seconds, kills, sent, first, most, last, stall, computed in SOAKS:
        memory = " | ".join(f"{one.memory / 2**20:.1f} MiB" for one in (first, most, last))
        lines.append(
            f"| {seconds:.0f} | {kills:,} | {sent:,} | {first.threads} → {last.threads} "
            f"| {first.descriptors} → {last.descriptors} | {memory} "
            f"| {stall * 1000:.0f} ms | {computed * 1000:.0f} ms |"
        )
    return "\n".join((where(), "", *lines))


def sweeps() -> str:
    """One line for each function, one column for each phase: works / told error / failed start.

    Phases that were not swept now keep what is written of them.
    """
    swept = {phase for phase, *_ in SWEEPS}
    rows = [row for row in written_sweeps() if row[0] not in swept] + SWEEPS
    phases = [phase for phase in PHASES if any(phase == row[0] for row in rows)]
    by_call = {(function, phase): counts for phase, function, *counts in rows}
    lines = [f"| the call that fails | {' | '.join(phases)} |", "|---|" + "---|" * len(phases)]
    for function in sorted({function for function, _ in by_call}):
        cells = (by_call.get((function, phase)) for phase in phases)
        lines.append(
            f"| `{function}` | {' | '.join('' if cell is None else ' / '.join(map(str, cell)) for cell in cells)} |"
        )
    works, errors, failed = (sum(row[place] for row in rows) for place in (2, 3, 4))
    total = (
        f"{works + errors + failed:,} runs: {works:,} work, {errors:,} told an error, {failed:,} were a failed start."
    )
    return "\n".join((where(), "", *lines, "", total))


def written_sweeps() -> list[tuple[str, str, int, int, int]]:
    """What the table of the sweep says already."""
    table = written("sweep")
    return [
        (phase, function.strip("`"), *map(int, cell.split(" / ")))
        for function, *cells in table[2:]
        for phase, cell in zip(table[0][1:], cells, strict=True)
        if cell
    ]


def written(name: str, book: Path = BOOK) -> list[list[str]]:
    """The rows of a section's table as it is now: its head, the line below it, and what was measured."""
    lines = book.read_text().partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def where() -> str:
    """The machine, as far as it matters."""
    minutes = " / ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.release().partition('-')[0]}, "
        f"{os.cpu_count()} cores, load over 1 / 5 / 15 minutes at the end: {minutes}."
    )


def write(made: dict[str, str], book: Path = BOOK) -> None:
    """Put tables into a book, each between the marks of its section."""
    text = book.read_text()
    for name, table in made.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        text = re.sub(f"{begin}.*?{end}", lambda _, b=begin, t=table, e=end: f"{b}\n{t}\n{e}", text, flags=re.DOTALL)
    book.write_text(text)
