"""The programs of each page of docs/ pass `mypy --strict`, as a reader's own do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.long import LONG

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^```python\n(# ([\w/]+\.py)\n.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if FILE.search(page.read_text())]


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="mypy takes half a minute")
@pytest.mark.timeout(600)
def test_programs_are_typed(tmp_path):
    pytest.importorskip("mypy")
    for page in PAGES:
        folder = tmp_path / page.stem
        for text, name in FILE.findall(page.read_text()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        checked = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "."],
            cwd=folder,
            env={"MYPYPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == checked.returncode, f"{page}:\n{checked.stdout}{checked.stderr}"
