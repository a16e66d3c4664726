"""A frozen program: its processes are starts of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import asyncio
import multiprocessing
import os
from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor

with open(os.environ["STARTS"], "a") as file:
    print("start", file=file)

class Hi(Message[str]):
    pass

class Mine:
    pass

class Own(Actor):
    def __init__(self, mine):
        self.mine = mine

    @handles
    def hi(self, msg: Hi) -> str:
        return type(self.mine).__name__

async def main():
    async with Supervisor(ChildSpec(Own, (Mine(),)), spares=0) as root:
        print("ANSWER", await root["own"].ask(Hi()))

if __name__ == "__main__":
    if os.environ["SUPPORT"] == "yes":
        multiprocessing.freeze_support()
    asyncio.run(main())
"""


PYINSTALLER = ("PyInstaller", "--log-level", "ERROR", "--paths", str(ROOT), "app.py")
PACKAGES = "actors,supervisor,structlog,msgspec"
CX_FREEZE = ("cx_Freeze", "build", "--silent", "--script", "app.py", "--build-exe", "dist", "--packages", PACKAGES)


def frozen(tool, command, place):
    return pytest.param((command, place), id=f"{tool} {command[-1]}", marks=pytest.mark.crossing(tool))


@pytest.fixture(
    scope="module",
    params=[
        frozen("pyinstaller", (*PYINSTALLER, "--onedir"), "dist/app/app"),
        frozen("pyinstaller", (*PYINSTALLER, "--onefile"), "dist/app"),
        frozen("cx_Freeze", CX_FREEZE, "dist/app"),
    ],
)
def program(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "app.py").write_text(PROGRAM)
    command, place = request.param
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", *command], cwd=folder, env=env, check=True, timeout=500)
    return folder / place


def run(program, folder, support):
    starts = folder / "starts"
    env = {**os.environ, "SUPPORT": support, "STARTS": str(starts)}
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=False)
    return done, len(starts.read_text().splitlines())


def test_actors_of_the_main_script(program, tmp_path):
    """They find their class and their arguments' classes where freeze_support stands below them."""
    done, _ = run(program, tmp_path, "yes")
    assert "ANSWER Mine" in done.stdout, done.stderr
    assert 0 == done.returncode


def test_without_freeze_support(program, tmp_path):
    """The program says so and ends; it is started for its actor and the resource tracker, and not by those again."""
    done, starts = run(program, tmp_path, "no")
    assert "call multiprocessing.freeze_support() first" in done.stderr
    assert 0 != done.returncode
    assert starts <= 4
