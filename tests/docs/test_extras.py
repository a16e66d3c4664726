"""docs/reference/extras.md lists every extra, with what it brings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/extras.md").read_text()
FOR_USERS, FOR_THE_PROJECT = PAGE.split("## For work on the project itself")


def rows(text):
    """The cells of each row of a table of extras."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]


def test_each_extra_is_listed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = [name.strip("`") for name, *_ in rows(FOR_USERS) + rows(FOR_THE_PROJECT)]
    assert sorted(extras) == sorted(listed)
    for name, _, brings, _ in rows(FOR_USERS):
        packages = {re.split(r"[<>=]", package)[0] for package in extras[name.strip("`")]}
        assert packages == set(re.sub(r" \(.*?\)", "", brings).split(", "))
