"""What a package index shows of README.md: each link leads to a file of the repository, or is none."""

from __future__ import annotations

import re

import pytest

from tests.support.waiting import ROOT

build = pytest.importorskip("hatch_build", reason="the sources are out of the way")
FILES = "https://example.org/shop/blob/v1.2.3"


@pytest.mark.parametrize(
    ("line", "linked", "plain"),
    [
        ("see [How](docs/a.md#b).", f"see [How]({FILES}/docs/a.md#b).", "see How."),
        ("[`a[0]` and b](a.py)", f"[`a[0]` and b]({FILES}/a.py)", "`a[0]` and b"),
        ("[a](https://a.org) [b](#b)", "[a](https://a.org) [b](#b)", "[a](https://a.org) [b](#b)"),
    ],
)
def test_a_link(line, linked, plain):
    """A path leads into the repository; where that is not known, its words stay."""
    assert (linked, plain) == (build.page(line, FILES), build.page(line, ""))


def test_the_readme():
    """Every path in it is one of a file that is there; without an address no path is left."""
    text = (ROOT / "README.md").read_text()
    paths = re.findall(rf"\]\({re.escape(FILES)}/([^)#]+)", build.page(text, FILES))
    assert len(paths) > 40
    assert [] == [path for path in paths if not (ROOT / path).exists()]
    assert [] == re.findall(r"\]\((?!https?:|#)[^)]*\)", build.page(text, ""))


def test_the_urls():
    """Those that a package index lists; none is made up."""
    assert {} == build.urls("", "")
    found = build.urls("https://example.org/shop", FILES)
    assert {"Source", "Documentation", "Changes", "Issues", "Security"} == found.keys()
    assert [] == [path for path in build.PAGES.values() if not (ROOT / path).exists()]
