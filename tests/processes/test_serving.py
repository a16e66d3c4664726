"""serve(): every tree stops on one signal, a second one ends whatever hangs, and the handlers of others come back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from actors import ExitKind
from supervisor import ChildSpec, Supervisor
from tests.support.calm import Calm
from tests.support.waiting import DEADLINE, Script, alive, until_now

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
]


def tree(name="root"):
    return Supervisor(ChildSpec(Calm), name=name, spares=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_trees_that_serve_stop_on_one_signal(number, order):
    """Whichever began first: the signal is meant for all."""
    async with tree("one") as one, tree("two") as two:
        serving = [asyncio.create_task([one, two][which].serve()) for which in order]
        await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        async with asyncio.timeout(DEADLINE):
            assert [ExitKind.SHUTDOWN] * 2 == [reason.kind for reason in await asyncio.gather(*serving)]


async def test_the_handlers_of_others_are_there_again():
    """Those of the loop and those of the process, and also when the trees end in the order in which they began."""
    loop = asyncio.get_running_loop()
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    loop.add_signal_handler(signal.SIGTERM, heard.append, signal.SIGTERM)
    try:
        async with tree("one") as one, tree("two") as two:
            serving = [asyncio.create_task(root.serve()) for root in (one, two)]
            await asyncio.sleep(0)
            for root, served in zip((one, two), serving, strict=True):
                root.request_stop()
                await served
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        async with asyncio.timeout(DEADLINE):
            while len(heard) < 2:
                await asyncio.sleep(0.001)
        assert [signal.SIGINT, signal.SIGTERM] == heard
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGINT, before)


async def test_a_handler_that_was_set_meanwhile_stays():
    """What another part of the daemon sets while a tree serves is that part's; put back later, ours passes on."""
    heard = []
    first = signal.signal(signal.SIGTERM, lambda number, _: heard.append("before"))
    try:
        async with tree() as root:
            serving = asyncio.create_task(root.serve())
            await asyncio.sleep(0)
            ours = signal.signal(signal.SIGTERM, lambda number, _: heard.append("meanwhile"))
            root.request_stop()
            await serving
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, ours)
        os.kill(os.getpid(), signal.SIGTERM)
        assert ["meanwhile", "before"] == heard
    finally:
        signal.signal(signal.SIGTERM, first)


async def test_serving_leaves_nothing_behind():
    """Handlers, the wake-up descriptor and all other descriptors are as before."""
    before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    async with tree() as root:
        serving = asyncio.create_task(root.serve())
        await asyncio.sleep(0)
        root.request_stop()
        await serving
    assert before == [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    assert -1 == signal.set_wakeup_fd(-1)


HANGING = """
import asyncio, hashlib, os, signal, sys, time
from actors import Actor, ExitReason
from supervisor import ChildSpec, Supervisor
from supervisor.system import signal_thread
from tests.support.taking_time import sleep_forever, work

LAST_RESORT = signal_thread.LAST_RESORT = 0.5

class Calm(Actor):
    def on_start(self) -> None:
        print("CHILD", os.getpid(), flush=True)

    def on_stop(self, reason: ExitReason) -> None:
        print("STOPS", flush=True)
        time.sleep(float(os.environ.get("SLOW", 0)))

async def blocks_the_loop():
    await asyncio.sleep(0)
    print("HANGS", flush=True)
    sleep_forever()

async def computes():
    await asyncio.sleep(0)
    print("HANGS", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # lets go of the interpreter, and does not look for signals

async def forks():
    await asyncio.sleep(0)
    up, say = os.pipe()
    for _ in range(3):
        if not (pid := os.fork()):
            os.write(say, b"1")
            while True:  # a signal that comes just before a system call is handled after it
                work(0.01)
        os.read(up, 1)
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    work(LAST_RESORT + 0.5)  # the loop stands still for longer than the last resort waits
    print("HANGS", flush=True)

async def swallows():
    await asyncio.sleep(0)
    print("HANGS", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def main(how):
    async with Supervisor(ChildSpec(Calm, output="inherit")) as root:
        await asyncio.gather(root.serve(), globals()[how]())

if __name__ == "__main__":
    if sys.argv[2] == "uvloop":
        import uvloop
        uvloop.install()
    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", ["blocks_the_loop", "computes"])
def test_two_signals_end_a_daemon_whose_loop_is_blocked(tmp_path, loop, how):
    """Also by C code, where no Python handler runs. Its actors end with it."""
    with Script(tmp_path, HANGING, args=[str(tmp_path / "daemon.py"), how, loop]) as daemon:
        pid = int(daemon.line("CHILD"))
        daemon.line("HANGS")
        for number in (signal.SIGTERM, signal.SIGINT):  # of two of the same kind that come together there is one
            os.kill(daemon.process.pid, number)
        code, _, err = daemon.end()
        assert code in (128 + signal.SIGTERM, 128 + signal.SIGINT), err
        assert "the process ends" in err
        until_now(lambda: not alive(pid), "the actor is gone")


def test_signals_to_forks_are_not_the_daemons(tmp_path):
    """A fork inherits the handlers and the wake-up descriptor until it sets its own."""
    with Script(tmp_path, HANGING, args=[str(tmp_path / "daemon.py"), "forks", "asyncio"]) as daemon:
        daemon.line("CHILD")
        daemon.line("HANGS")
        daemon.process.terminate()
        code, _, err = daemon.end()
        assert 0 == code, err


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_second_signal_ends_what_hangs_when_the_tree_is_down(tmp_path, loop):
    """The tree is killed at once; the loop still runs."""
    where = [str(tmp_path / "daemon.py"), "swallows", loop]
    with Script(tmp_path, HANGING, args=where, env={"SLOW": "3600"}) as daemon:
        pid = int(daemon.line("CHILD"))
        daemon.line("HANGS")
        daemon.process.terminate()
        daemon.line("STOPS")
        daemon.process.terminate()
        code, _, err = daemon.end()
        assert 128 + signal.SIGTERM == code, err
        assert "the process ends" in err
        until_now(lambda: not alive(pid), "the actor is gone")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_signals_end_a_daemon_that_swallows_its_cancellation(tmp_path, loop):
    """Whether the tree is down already, or not yet."""
    with Script(tmp_path, HANGING, args=[str(tmp_path / "daemon.py"), "swallows", loop]) as daemon:
        pid = int(daemon.line("CHILD"))
        daemon.line("HANGS")

        def ended():
            os.kill(daemon.process.pid, signal.SIGTERM)
            return daemon.process.poll() is not None

        until_now(ended, "its end")
        until_now(lambda: not alive(pid), "the actor is gone")
