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
*Ours* is a tree as it comes, with a thread that reads; `reading="loop"` is faster, and has rows of its own.
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
    if results.peers or results.bench:
        parts += [short(pooled(results.peers or results.bench))]
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


def short(run: Run) -> str:
    """The figures that have a chart: the limit, ours, and the best of the others."""
    rows = [["", run.contenders[0], "ours", "the best of the others"]]
    for figure in FIGURES.values():
        limit, mine = (run.median(figure.key, name) for name in (run.contenders[0], OURS))
        if figure.charted and mine is not None:
            best = [said(one) for one in others(run, figure)[:1]]
            rows.append([figure.title, "n/a" if limit is None else digits(limit), digits(mine), *(best or ["n/a"])])
    return f"## In short\n\nMedians of one run ({run.date}), with all details below.\n\n" + table(rows)


def ahead(run: Run) -> str:
    """Every figure in which another contender than the first, which is the limit, is better than ours."""
    lines = []
    for figure in FIGURES.values():
        mine = run.median(figure.key, OURS)
        better = [] if mine is None else [one for one in others(run, figure) if is_better(figure, one[0], mine)]
        if mine is not None and better:
            lines.append(f"* {figure.title}: {'; '.join(map(said, better))}; ours {digits(mine)}")
    where = "\n".join(lines) or "Nowhere in this run, the raw pipe aside."
    return f"### Where others are ahead of ours\n\n{where}\n"


def others(run: Run, figure: Figure) -> list[tuple[float, str]]:
    """Median and name of each contender that is neither the limit nor ours, the best first."""
    found = [(run.median(figure.key, name), name) for name in run.contenders[1:] if name not in OUR_NAMES]
    return sorted([(median, name) for median, name in found if median is not None], reverse=figure.better == "more")


def is_better(figure: Figure, one: float, other: float) -> bool:
    """Whether the first is better."""
    return one < other if figure.better == "less" else one > other


def said(one: tuple[float, str]) -> str:
    """A contender and its median."""
    return f"{one[1]} {digits(one[0])}"


def excuses(run: Run) -> str:
    """Why there is no figure, or not one for each repetition."""
    titles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for figure in FIGURES.values():
        for contender, why in run.absent.get(figure.key, {}).items():
            titles[why, contender].append(figure.title)
    contenders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (why, contender), those in titles.items():
        contenders[why, "; ".join(gathered(those))].append(contender)
    lines = [f"* {', '.join(names)}: {why} ({those})" for (why, those), names in contenders.items()]
    return "### Without a figure\n\n" + "\n".join(lines) + "\n" if lines else ""


def gathered(titles: Sequence[str]) -> list[str]:
    """These titles of figures; the name of a table stands for all of its figures."""
    groups: dict[str, list[str]] = defaultdict(list)
    for figure in FIGURES.values():
        groups[figure.group].append(figure.title)
    names: list[str] = []
    for group, all_of_it in groups.items():
        names += [group] if set(all_of_it) <= set(titles) else [title for title in titles if title in all_of_it]
    return names


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown that reads well as it is; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(rows[0], widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows[1:])]) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
