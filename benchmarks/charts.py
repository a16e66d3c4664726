"""Charts: one figure of a run as a picture (SVG): a bar for each contender on a logarithmic scale. A pure function.

Written by hand because a picture on a page must be readable on light and on dark ground; its style asks which it is,
and it brings its own ground for where the page does not tell.
"""

from __future__ import annotations

import math
from html import escape

from benchmarks.numbers import digits, plain
from benchmarks.report import OUR_NAMES
from benchmarks.results import Run
from benchmarks.workloads import FIGURES, Figure

WIDTH, LEFT, RIGHT, ROW, TOP = 820, 220, 150, 26, 54

STYLE = """\
  .ground { fill: #ffffff; }
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .soft { fill: #59636e; font-size: 12px; }
  .grid { stroke: #d1d9e0; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  .limit { fill: #bc4c00; }
  .spread { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .soft { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .bar { fill: #656c76; }
    .ours { fill: #4493f8; }
    .limit { fill: #db6d28; }
    .spread { stroke: #f0f6fc; }
  }
"""


def charts(run: Run, prefix: str = "") -> dict[str, str]:
    """File name to picture, for every figure that is charted and was measured."""
    charted = [figure for figure in FIGURES.values() if figure.charted and figure.key in run.samples]
    return {f"{prefix}{figure.key}.svg": chart(run, figure) for figure in charted}


def chart(run: Run, figure: Figure) -> str:
    """One figure."""
    rows = {name: run.samples[figure.key][name] for name in run.contenders if name in run.samples[figure.key]}
    every = [sample for samples in rows.values() for sample in samples if sample > 0]
    first = math.floor(math.log10(min(every) / 1.5))
    last = max(first + 1, math.ceil(math.log10(max(every))))

    def across(sample: float) -> float:
        share = (math.log10(max(sample, 10.0**first)) - first) / (last - first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    bottom = TOP + ROW * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30}" role="img">',
        f"<title>{escape(figure.title)}</title>",
        f"<style>\n{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{bottom + 30}" rx="6"/>',
        f'<text class="title" x="12" y="22">{escape(figure.title)}</text>',
        f'<text class="soft" x="12" y="40">{figure.better} is better; logarithmic scale; the line is the spread</text>',
    ]
    for power in range(first, last + 1):
        x = across(10.0**power)
        lines += [
            f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom + 4}"/>',
            f'<text class="soft" x="{x}" y="{bottom + 20}" text-anchor="middle">{plain(10.0**power)}</text>',
        ]
    base = run.median(figure.key, run.contenders[0])
    for place, (name, samples) in enumerate(rows.items()):
        median = run.median(figure.key, name) or 0.0
        y = TOP + ROW * place
        kind = "ours" if name in OUR_NAMES else "limit" if name == run.contenders[0] else "bar"
        ratio = f" ({digits(median / base)} ×)" if base else ""
        low, high, middle = across(min(samples)), across(max(samples)), y + ROW / 2
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 18}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y + 5}" width="{across(median) - LEFT:.1f}" height="{ROW - 10}"/>',
            f'<line class="spread" x1="{low}" y1="{middle}" x2="{high}" y2="{middle}"/>',
            f'<text x="{max(high, across(median)) + 6:.1f}" y="{y + 18}">{digits(median)}{ratio}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
