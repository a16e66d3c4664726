"""Exit reports as the documentation shows them, and what of a report is the same in each run."""

from __future__ import annotations

import re

from tests.support.waiting import ROOT

BOOK = ROOT / "docs/reference/exit-reports.md"


def in_the_book(title):
    """The report that the documentation shows under a title."""
    found = re.search(rf"^### {re.escape(title)}\n.*?^```text\n(.*?)^```$", BOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{BOOK.name} has no section {title!r}"
    return found[1]


def lasting(text):
    """The lines of a report but for its stacks, without what differs from run to run."""
    lines = [line for line in text.splitlines() if not line.startswith("  |")]
    once = "\n".join(lines).replace("/root/victim", "/root/a")
    for pattern, word in (
        (r" and [\d.]+ MiB of memory at most", ""),
        (r"\bpid \d+", "pid N"),
        (r"\b\d+(\.\d+)? s\b", "N s"),
        (r":\d+\)", ":N)"),
    ):
        once = re.sub(pattern, word, once)
    return once
