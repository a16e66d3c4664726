"""The configurations in docs/how-to/logging.md: each shows a death, and what an actor says, as it promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/how-to/logging.md").read_text(), re.DOTALL)

SAID = """
import asyncio, logging
from actors.exits import ExitKind, ExitReason, ExitReport
from actors.wire.log_lines import Record
from supervisor.observe.reports import Reports

async def say():
    reports = Reports()
    reports.child_started("/root/a", 1, 76)
    reports.actor_said("/root/parser", 1, Record("debug", "file.read", {"path": "x"}))
    reason = ExitReason(ExitKind.CRASHED, "KeyError: 'x'")
    reports.child_exited(
        ExitReport(actor="/root/a", life=1, pid=76, reason=reason, traceback="Traceback:\\nKeyError: 'x'\\n",
                   decision="restart", because="permanent", delay=0.5), "permanent", 1)

asyncio.run(say())
"""
DEATH = "/root/a (life 1, pid 76) ended: crashed: KeyError: 'x'; next: restart in 0.500 s (permanent)"


def lines_of(configuration, tmp_path):
    """What a program with this configuration writes to standard error; it writes nothing to standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", configuration + SAID],
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stdout), done.stderr
    return done.stderr.splitlines()


def block(words):
    (found,) = [block for block in BLOCKS if words in block]
    return found


def test_no_configuration(tmp_path):
    """Standard output is quiet; a death is one line, with its traceback under it."""
    assert [DEATH, "Traceback:", "KeyError: 'x'"] == lines_of("", tmp_path)


def test_plain(tmp_path):
    """Everything goes to the file, also the debug lines of the one actor."""
    assert [] == lines_of(block("FileHandler"), tmp_path)
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert [
        "INFO supervisor: child.started actor=/root/a life=1 pid=76",
        "DEBUG supervisor.actor.root.parser: file.read path=x actor=/root/parser life=1",
        f"ERROR supervisor: {DEATH}",
    ] == [line.split(" ", 2)[2] for line in lines[:3]]
    assert ["Traceback:", "KeyError: 'x'"] == lines[3:]


def test_uvicorn(tmp_path):
    """Lines have uvicorn's format."""
    pytest.importorskip("uvicorn")
    configure = "import logging.config\nlogging.config.dictConfig(config)\n"
    lines = lines_of(block("uvicorn") + configure, tmp_path)
    assert "INFO:     child.started actor=/root/a life=1 pid=76" == lines[0]
    assert [f"ERROR:    {DEATH}", "Traceback:", "KeyError: 'x'"] == lines[1:]


def test_django(tmp_path):
    """Django passes LOGGING to dictConfig."""
    configure = "import logging.config\nlogging.config.dictConfig(LOGGING)\n"
    lines = lines_of(block("LOGGING =") + configure, tmp_path)
    assert lines[0].startswith("INFO ")
    assert lines[0].endswith(" supervisor child.started actor=/root/a life=1 pid=76")
    assert lines[1].endswith(f" supervisor {DEATH}")
    assert ["Traceback:", "KeyError: 'x'"] == lines[2:]


def test_json(tmp_path):
    """Each line is an object with the fields of the event, its traceback included."""
    started, exited = map(json.loads, lines_of(block("JsonFormatter(logging"), tmp_path))
    assert ("child.started", "/root/a", 1, "INFO") == tuple(started[key] for key in ("event", "actor", "life", "level"))
    assert ("child.exited", DEATH, "restart", 0.5) == tuple(
        exited[key] for key in ("event", "message", "decision", "delay")
    )
    assert "Traceback:\nKeyError: 'x'" == exited["traceback"].rstrip()
