"""Report: results as a page of Markdown. A pure function of them, but for the words that never change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from benchmarks.measure import OURS, OURS_LOOP, OURS_UVLOOP
from benchmarks.numbers import digits, plain
from benchmarks.results import Results, Run
from benchmarks.targets import Verdict, judge
from benchmarks.workloads import FIGURES, Figure

ARROWS = {"less": "↓", "more": "↑"}
OUR_NAMES = (OURS, OURS_LOOP, OURS_UVLOOP)

HEAD = """\
# Benchmarks

This page and its charts are made by `make bench` and `make bench-peers` from
[results.json](benchmarks/results.json); do not edit them. What takes part and what is measured is explained in
[benchmarks/README.md](../benchmarks/README.md).

    make bench                    # ours against what the standard library offers; about four minutes
    make bench RUNS=3             # three times, for the targets
    make bench-peers              # also against peers from PyPI, each in an environment of its own

Compare ratios, and only within one table: absolute figures belong to one machine at one time. Nothing here is a gate.
"""

CAVEATS = """\
## What to bear in mind

* Ray, xoscar and torchmonarch take seconds to begin: one repetition of each.
* **Medians** of interleaved repetitions, the lowest and the highest in brackets; `×` is the ratio of the medians to the
  first row; ↓ less is better, ↑ more is better. Differences below 1.3 × are noise.
* **On all cores**, an ask alone mostly shows where the kernel put the two processes: waking a process on another core
  costs more than all the code. The figures with all processes on one core show the code.
* **The raw pipe** has no event loop, mailbox, time-out, error reply or supervision, and hands payloads over as
  they are, without any encoding. It is the plainest way, not the fastest: a socketpair moves large payloads faster.
* **Pools** (ProcessPoolExecutor, pebble, aiomultiprocess) are stateless: the sum is a global of the worker, a tell is
  a task whose result is dropped, and a fan-out gives n tasks to n workers, of which a fast one may take several.
* **Starts** are with a warm page cache and from an open event loop. Ours start in parallel (`start="parallel"`). Ray's
  runtime and Thespian's actor system run before the first worker starts, and Thespian forks its workers where all
  others start a new interpreter: its starts and its memory profit from that.
* **kill -9** hits an idle worker. The state of a worker is not restored.
* **Memory** is PSS: a page that n processes share counts one n-th for each. So a worker's figure depends on how many
  others there are; compare within the column only. The daemon's growth counts its heap, not its files.
"""


def page(results: Results) -> str:
    """The whole page."""
    parts = [HEAD]
    if results.bench:
        parts += [targets(judge(results.bench)), section("Ours and the standard library", "", pooled(results.bench))]
    if results.peers:
        intro = (
            "From another run than the tables above, with its own figures of ours and of the raw pipe: "
            "compare within this section."
        )
        parts += [section("Peers", "peers-", pooled(results.peers), intro)]
    return "\n".join([*parts, CAVEATS])


def pooled(runs: Sequence[Run]) -> Run:
    """Several runs as one with more repetitions; date and machine of the last."""
    last = runs[-1]
    everything = Run(
        date=last.date,
        machine=last.machine,
        repetitions=(sum(run.repetitions[0] for run in runs), sum(run.repetitions[1] for run in runs)),
        contenders=last.contenders,
        versions=last.versions,
    )
    for run in runs:
        for figure, rows in run.samples.items():
            for contender, samples in rows.items():
                for sample in samples:
                    everything.note(figure, contender, sample)
        for figure, reasons in run.absent.items():
            for contender, why in reasons.items():
                everything.excuse(figure, contender, why)
    return everything


def targets(verdicts: Iterable[Verdict]) -> str:
    """What we want to hold beside what was measured."""
    rows = [["target", "bound", "measured", "holds"]]
    for verdict in verdicts:
        target, runs = verdict.target, len(verdict.measured)
        unit = f" {target.unit}" if target.unit else " ×" if target.over else ""
        said = ", ".join(digits(each) for each in verdict.measured) or "not measured"
        held = "" if not runs else f"{verdict.held} of {runs}" if runs > 1 else "yes" if verdict.held else "**no**"
        rows.append([target.title, f"{target.sense} {plain(target.bound)}{unit}", said, held])
    return "## Targets\n\n" + table(rows)


def section(title: str, charts: str, run: Run, intro: str = "") -> str:
    """One run: its tables and charts, who is ahead of ours, and what has no figure."""
    repetitions = f"{run.repetitions[0]} repetitions, {run.repetitions[1]} of those with many workers."
    lines = [f"## {title}", "", f"{run.date} on {', '.join(run.machine)}. {repetitions}", ""]
    lines += [intro, ""] if intro else []
    lines += [f"* {name}: {versions(run.versions.get(name, {}))}" for name in run.contenders]
    groups = defaultdict(list)
    for figure in FIGURES.values():
        if figure.key in run.samples:
            groups[figure.group].append(figure)
    for group, figures in groups.items():
        lines += ["", f"### {group}", "", group_table(run, figures)]
        lines += [f"![{one.title}](benchmarks/{charts}{one.key}.svg)" for one in figures if one.charted]
    return "\n".join([*lines, "", ahead(run), excuses(run)])


def versions(them: dict[str, str]) -> str:
    """Names and versions in a line."""
    return ", ".join(f"{name} {version}" for name, version in them.items()) or "did not begin"


def group_table(run: Run, figures: Sequence[Figure]) -> str:
    """A row for each contender that has a figure, a column for each figure."""
    head = ["", *(f"{figure.title} {ARROWS[figure.better]}" for figure in figures)]
    rows = [[name, *(cell(run, figure.key, name) for figure in figures)] for name in run.contenders]
    return table([head, *rows])


def cell(run: Run, figure: str, contender: str) -> str:
    """Median, spread, and the ratio to the first contender's."""
    median, base = run.median(figure, contender), run.median(figure, run.contenders[0])
    if median is None:
        return "n/a"
    samples = run.samples[figure][contender]
    spread = f" ({digits(min(samples))} to {digits(max(samples))})" if len(samples) > 1 else ""
    ratio = f" {digits(median / base)} ×" if base else ""
    return f"{digits(median)}{spread}{ratio}"


def ahead(run: Run) -> str:
    """Every figure in which another contender than the first, which is the limit, is better than ours."""
    lines = []
    for figure in FIGURES.values():
        mine = run.median(figure.key, OURS)
        for contender in run.contenders[1:]:
            theirs = run.median(figure.key, contender)
            if contender in OUR_NAMES or mine is None or theirs is None:
                continue
            if theirs < mine if figure.better == "less" else theirs > mine:
                lines.append(f"* {figure.title}: {contender} {digits(theirs)}, ours {digits(mine)}")
    said = "\n".join(lines) or "Nowhere in this run, the raw pipe aside."
    return f"### Where others are ahead of ours\n\n{said}\n"


def excuses(run: Run) -> str:
    """Why there is no figure, or not one for each repetition."""
    titles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for figure in FIGURES.values():
        for contender, why in run.absent.get(figure.key, {}).items():
            titles[why, contender].append(figure.title)
    contenders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (why, contender), those in titles.items():
        contenders[why, "; ".join(those)].append(contender)
    lines = [f"* {', '.join(names)}: {why} ({those})" for (why, those), names in contenders.items()]
    return "### Without a figure\n\n" + "\n".join(lines) + "\n" if lines else ""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown that reads well as it is; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(rows[0], widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows[1:])]) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
