"""Jobs of the main script: its file is imported by the processes that run them, and by no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.processes

SCRIPT = """
import asyncio
from dataclasses import dataclass
from actors import Jobs, job
from supervisor import ChildSpec, Supervisor

@dataclass
class Point:
    x: int

@job
def moved(point: Point, by: int) -> Point:
    return Point(point.x + by)

async def main() -> None:
    async with Supervisor(ChildSpec(Jobs, name="pool")) as root:
        print(await root["pool"].run(moved, Point(1), 2, timeout=60))

%s
"""


def run(tmp_path, start):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT % start)
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.stdout, done.stderr


def test_a_job_of_the_main_script_runs(tmp_path):
    assert run(tmp_path, 'if __name__ == "__main__":\n    asyncio.run(main())') == ("Point(x=3)\n", "")


def test_a_main_script_that_would_start_again_in_each_process_is_refused(tmp_path):
    out, errors = run(tmp_path, "asyncio.run(main())")
    assert out == ""
    assert "this starts the supervisor whenever the file is imported" in errors
