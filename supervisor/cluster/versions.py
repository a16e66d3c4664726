"""Versions: what must be the same on every machine: Python's minor version, msgspec, and this project's own code."""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path

import msgspec

_WORDS = {"python": "Python", "msgspec": "msgspec", "project": "actor-supervisor (digest of its code)"}


@functools.cache
def versions() -> dict[str, str]:
    """Those of this process."""
    return {
        "python": ".".join(map(str, sys.version_info[:2])),
        "msgspec": msgspec.__version__,
        "project": _digest(),
    }


def difference(theirs: dict[str, str]) -> str:
    """What another machine has that differs from here, in words; empty when nothing does."""
    ours = versions()
    return "; ".join(
        f"{word} {theirs.get(name)} there and {ours[name]} here"
        for name, word in _WORDS.items()
        if theirs.get(name) != ours[name]
    )


def _digest() -> str:
    """Of all modules that both sides run: two versions of the project differ in it, whatever they call themselves."""
    sums = hashlib.sha256()
    root = Path(__file__).parents[2]
    for package in ("actors", "supervisor"):
        for file in sorted((root / package).rglob("*.py")):
            sums.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return sums.hexdigest()[:12]
