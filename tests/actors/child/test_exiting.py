"""Exiting: what is registered for the exit of an actor's process runs, and nothing that was written is lost."""

from __future__ import annotations

import sys

import pytest

from actors import ActorCrashed
from supervisor import ChildSpec, Supervisor
from tests.support.leavers import Arrange, AsyncLeaver, Exit, Forget, Forgetful, GoOn, LeaveOpen, SyncLeaver

pytestmark = pytest.mark.processes


@pytest.mark.skipif(sys.platform != "linux", reason="the name of C's function is that of glibc and musl")
@pytest.mark.parametrize(("actor", "limit"), [(SyncLeaver, None), (AsyncLeaver, 20.0)])
async def test_what_is_registered_for_the_exit_runs(actor, limit, tmp_path, logs):
    """In the interpreter's order; only the teardown, which frees what is left, is skipped."""
    book = tmp_path / "book"
    async with Supervisor(ChildSpec(actor, args=(str(book),), name="a", handler_timeout=limit), spares=0) as root:
        await root["a"].ask(Arrange())
    ran = [line for line in book.read_text().splitlines() if line != "attribute"]
    assert ["finalizer", "thread", "atexit", "C atexit"] == ran
    assert "C stdio, half a line" in [line.get("text") for line in logs]
    assert [("shutdown", 0)] == [(line["reason"], line.get("exit_code")) for line in logs if "decision" in line]


async def test_a_process_that_leaves_something_open_is_torn_down(tmp_path):
    """A file that was not closed gets what was written to it; a child process is awaited."""
    book = tmp_path / "book"
    async with Supervisor(ChildSpec(SyncLeaver, args=(str(book),), name="a"), spares=0) as root:
        await root["a"].ask(LeaveOpen())
    assert "unwritten" == (tmp_path / "book.open").read_text()
    lines = book.read_text().split()
    assert {"attribute", "child", "teardown"} == set(lines)
    assert lines.index("child") < lines.index("teardown")


@pytest.mark.skipif(sys.platform != "linux", reason="the name of C's function is that of glibc and musl")
async def test_no_thread_runs_while_cs_exit_takes_things_away(tmp_path, logs):
    """The interpreter's lock keeps the actor's threads from it; where there is none, the teardown stops them before."""
    book = tmp_path / "book"
    async with Supervisor(ChildSpec(SyncLeaver, args=(str(book),), name="a", handler_timeout=20.0), spares=0) as root:
        await root["a"].ask(GoOn())
    assert not (tmp_path / "book.mark").exists()
    assert "ran in C's exit" not in (book.read_text().splitlines() if book.exists() else [])
    assert [("shutdown", 0)] == [(line["reason"], line.get("exit_code")) for line in logs if "decision" in line]


async def test_a_process_in_which_nothing_can_be_imported(logs):
    """It leaves with its own code, and not with a traceback of the library."""
    async with Supervisor(ChildSpec(Forgetful, name="a"), spares=0) as root:
        await root["a"].ask(Forget())
        with pytest.raises(ActorCrashed, match=r"crashed: exit code 3: sys\.exit\(3\) in Forgetful\.exit"):
            await root["a"].ask(Exit())
        await root["a"].ask(Forget())
    assert [("crashed", 3), ("shutdown", 0)] == [
        (line["reason"], line.get("exit_code")) for line in logs if "decision" in line
    ]
