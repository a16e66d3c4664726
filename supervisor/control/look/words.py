"""Words: times, sizes and numbers as a person reads them. Pure."""

from __future__ import annotations

import re
from typing import Final

from actors.exits import ExitReason

_COUNTED: Final = re.compile(r"(: a kill -9(, or its own))? \(the kernel has counted [^)]*\)")
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


def seconds(value: float) -> str:
    """`20 ms`, `0.3 s`, `42 s`, `5 min`, `3 h`, `2 d`."""
    if 0 < value < 0.1:
        return f"{value * 1000:.0f} ms"
    for size, unit in _UNITS:
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s" if value >= 10 or value == int(value) else f"{value:.1f} s"


def ago(value: float) -> str:
    """`3 s ago`; `just now` below half a second."""
    return "just now" if value < 0.5 else f"{seconds(value)} ago"


def mebibytes(size: float) -> str:
    """`480 MiB`; `1.5 GiB` from a GiB on."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def brief(reason: ExitReason) -> str:
    """A reason without what the kernel has counted; the whole stands in the report."""
    return _COUNTED.sub(r"\2", str(reason))


def count(number: int, one: str, many: str = "") -> str:
    """`1 message`, `12,000 messages`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
