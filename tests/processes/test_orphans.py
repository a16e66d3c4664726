"""No orphans: whatever ends, all its descendants are gone within a second."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
import zipapp
from pathlib import Path

import pytest

import actors
import supervisor
import tests
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.core.health import patience
from supervisor.core.health.condition import Condition
from supervisor.system import orphans
from supervisor.system.reaper import orphan_reaper
from supervisor.system.reaper.process import ReaperProcess
from tests.support.descent import children_of
from tests.support.relatives import KINDS, Beget, Leave, Parent
from tests.support.waiting import DEADLINE, Script, Watch, alive, until, until_now

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="marks are looked for in /proc"),
]


def tree(**options):
    """One parent, back at once whenever it dies."""
    spec = ChildSpec(Parent, name="a", backoff=Backoff(initial=0.0, cap=0.0))
    return Supervisor(spec, intensity=Intensity.unlimited(), **options)


def gone(pids):
    """Wait until all of them are gone."""
    until_now(lambda: not any(map(alive, pids)), f"the end of {pids}")


# ---- while the daemon lives


@pytest.mark.parametrize("kind", KINDS)
async def test_descendants_end_with_their_actor(kind):
    """A dead actor leaves no process behind, however its descendants were made."""
    async with tree() as root:
        watch = Watch(root)
        pids = await root["a"].ask(Beget([kind]))
        assert all(map(alive, pids))
        root["a"].tell_nowait(Leave())
        await watch.exited("a")
        await until(lambda: not any(map(alive, pids)), f"the end of {pids}")


@pytest.mark.parametrize("reading", ["thread", "loop"])
async def test_descendants_end_with_the_tree(reading):
    """When the `async with` is left, no descendant is left; nothing need be waited for."""
    async with tree(reading=reading) as root:
        pids = await root["a"].ask(Beget(list(KINDS)))
        assert all(map(alive, pids))
    assert [] == [pid for pid in pids if alive(pid)]


async def test_siblings_and_their_families_live_on():
    """One family ends; the next life, the siblings and the daemon's own children are not touched."""
    own = await asyncio.create_subprocess_exec("/bin/sleep", "3600")
    specs = [ChildSpec(Parent, name=name, backoff=Backoff(initial=0.0, cap=0.0)) for name in "ab"]
    try:
        async with Supervisor(*specs, intensity=Intensity.unlimited()) as root:
            watch = Watch(root)
            others = await root["b"].ask(Beget(list(KINDS)))
            for _ in range(3):
                pids = await root["a"].ask(Beget(["daemonise", "session", "fork"]))
                root["a"].tell_nowait(Leave())
                await watch.started("a")
                await until(lambda pids=pids: not any(map(alive, pids)), f"the end of {pids}")
            last = await root["a"].ask(Beget(["daemonise", "session", "fork"]))
            await root["b"].ask(Beget([]))
            assert all(map(alive, [own.pid, *others, *last]))
        assert alive(own.pid)
    finally:
        own.kill()
        await own.wait()


async def test_who_leaves_on_purpose_may_live():
    """A session of its own and an environment without our mark: that one is let go."""
    async with tree() as root:
        (pid,) = await root["a"].ask(Beget(["liberate"]))
    try:
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not alive(pid), "its end")


# ---- the orphan reaper


def reapers():
    """Process ids of our orphan reapers."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 4 and words[3].endswith(b"orphan_reaper.py") and words[4] == str(os.getpid()).encode():
            found.append(int(path.name))
    return found


async def test_the_orphan_reaper_is_small_and_alone():
    """It holds no descriptor but its socket and the daemon's pidfd, and little more memory than a bare interpreter."""
    async with tree():
        await until(reapers, "an orphan reaper")
        (pid,) = reapers()
        await until(lambda: "pidfd" in str(targets(pid)), "it is at work")
        assert ["/dev/null", "anon_inode:[pidfd]"] == [t for t in targets(pid) if "socket" not in t]
        assert os.getsid(pid) == pid
        assert ("/", True) == place_and_size(pid)


def targets(pid):
    """What a process's descriptors are, but for those that it closes meanwhile."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return sorted(found)


def place_and_size(pid):
    """Its working directory, and whether it has less than 4 MiB more of memory than a bare interpreter."""
    program = "print(open('/proc/self/status').read())"
    bare = subprocess.check_output([sys.executable, "-I", "-S", "-c", program], text=True)
    size, least = map(size_in, (Path(f"/proc/{pid}/status").read_text(errors="replace"), bare))
    return str(Path(f"/proc/{pid}/cwd").readlink()), size < least + 4 * 1024


def size_in(status):
    """Resident memory in KiB, from what the kernel says of a process."""
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize("reading", ["thread", "loop"])
async def test_a_dead_orphan_reaper_is_replaced(logs, reading):
    """The next one is told everything: also what was left by a life that ended between the two."""
    async with tree(reading=reading) as root:
        watch = Watch(root)
        await root["a"].ask(Beget([]))
        await until(reapers, "an orphan reaper")
        (first,) = reapers()
        orphan_reaper = root._launcher._orphan_reaper
        await until(
            lambda: time.monotonic() >= orphan_reaper._not_before, "the moment from which it is replaced at once"
        )
        pids = await root["a"].ask(Beget(["daemonise", "session"]))
        os.kill(first, signal.SIGKILL)
        root["a"].tell_nowait(Leave())
        await watch.started("a")
        await until(lambda: reapers() not in ([], [first]), "another orphan reaper")
        await until(lambda: not any(map(alive, pids)), f"the end of {pids}")
        assert [{"supervisor": "/root", "detail": "it ended: signal SIGKILL"}] == [
            {name: line[name] for name in ("supervisor", "detail")}
            for line in logs
            if line["event"] == "orphan_reaper.lost"
        ]


async def test_an_orphan_reaper_that_hangs_holds_up_nobody():
    """A stopped orphan reaper neither delays lives nor their ends; at the end of the tree it is killed."""
    async with tree() as root:
        watch = Watch(root)
        await until(reapers, "an orphan reaper")
        (pid,) = reapers()
        os.kill(pid, signal.SIGSTOP)
        root["a"].tell_nowait(Leave())
        await watch.started("a")
        os.kill(pid, signal.SIGCONT)
    assert [] == reapers()


async def test_an_orphan_reaper_that_does_not_answer_is_replaced(logs):
    """A stopped one is killed when a life has ended and it has not said that it heard of it; the next does its work."""
    async with tree() as root:
        pids = await root["a"].ask(Beget(["daemonise", "session"]))
        await until(reapers, "an orphan reaper")
        (first,) = reapers()
        os.kill(first, signal.SIGSTOP)
        root["a"].tell_nowait(Leave())
        await until(lambda: not any(map(alive, pids)), f"the end of {pids}")
        assert ["it ended: it did not answer within 2 s"] == lost(logs)
        await until(lambda: 2 == len([line for line in logs if line["event"] == "child.started"]), "the next life")


async def test_an_orphan_reaper_that_gets_no_processor_is_left(logs, monkeypatch):
    """A loaded machine is no reason to replace it, however long the answer takes."""
    monkeypatch.setattr(orphans, "ANSWER", 0.05)
    monkeypatch.setattr(patience, "MOST", 100_000)
    looks = []

    def condition(process):
        looks.append(process)
        return Condition("R", 0)  # it wants a processor

    monkeypatch.setattr(ReaperProcess, "condition", condition)
    async with tree() as root:
        await until(reapers, "an orphan reaper")
        (pid,) = reapers()
        os.kill(pid, signal.SIGSTOP)
        root["a"].tell_nowait(Leave())
        await until(lambda: len(looks) > 3, "looks for its answer")
        assert [pid] == reapers()
        os.kill(pid, signal.SIGCONT)
        await until(lambda: not root._launcher._orphan_reaper._unanswered, "its answer")
        assert [pid] == reapers()
    assert [] == lost(logs)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_an_orphan_reaper_that_fails_at_the_last_moment(number):
    """The daemon itself ends what the actors have left, and leaves nothing of its orphan reaper."""
    async with tree() as root:
        pids = await root["a"].ask(Beget(["daemonise", "session"]))
        await until(reapers, "an orphan reaper")
        os.kill(reapers()[0], number)
    assert [] == reapers()
    assert not any(map(alive, pids))


async def test_without_an_orphan_reaper(logs, monkeypatch):
    """Why there is none is told once, however often it is tried; no actor suffers, and the daemon does the work."""

    def refuse():
        tried.append(True)
        raise OSError(errno.EMFILE, "no room")

    tried = []
    monkeypatch.setattr("supervisor.system.reaper.process.socket.socketpair", refuse)
    monkeypatch.setattr("supervisor.system.orphans.BREATH", 0.01)
    async with tree(reading="loop") as root:
        watch = Watch(root)
        pids = await root["a"].ask(Beget(["daemonise", "session"]))
        await until(lambda: len(tried) > 2, "a third attempt")
        root["a"].tell_nowait(Leave())
        await watch.started("a")
        await until(lambda: not any(map(alive, pids)), f"the end of {pids}")
        more = await root["a"].ask(Beget(["daemonise"]))
    assert not any(map(alive, more))
    assert ["it could not be started: [Errno 24] no room"] == lost(logs)


async def test_without_an_orphan_reaper_one_that_executes_a_program(monkeypatch):
    """It shows no mark while it does: the daemon looks again, as the reaper would."""
    unseen = []

    def refuse():
        raise OSError(errno.EMFILE, "no room")

    def read(path):
        if path in unseen:
            unseen.remove(path)
            return b""
        return real(path)

    real = orphan_reaper.read
    monkeypatch.setattr("supervisor.system.reaper.process.socket.socketpair", refuse)
    monkeypatch.setattr(orphan_reaper, "read", read)
    monkeypatch.setattr(orphan_reaper, "is_executing", lambda pid: f"/proc/{pid}/environ" in paths)
    async with tree() as root:
        pids = await root["a"].ask(Beget(["daemonise_and_run"]))
        paths = [f"/proc/{pid}/environ" for pid in pids]
        unseen += paths
        root["a"].tell_nowait(Leave())
        await until(lambda: not any(map(alive, pids)), f"the end of {pids}")
    assert [] == unseen


APPLICATION = """
import asyncio
from pathlib import Path
from supervisor import ChildSpec, Supervisor
from tests.support.relatives import Beget, Parent
from tests.support.waiting import alive, until

async def main():
    async with Supervisor(ChildSpec(Parent, name="a")) as root:
        pids = await root["a"].ask(Beget(["daemonise"]))
        reapers = [p for p in Path("/proc").glob("[0-9]*") if is_reaper(p)]
        print("REAPERS", len(reapers))
    print("ALIVE", sum(map(alive, pids)))

def is_reaper(path):
    try:
        words = path.joinpath("cmdline").read_bytes().split(b"\\0")
        return str(os.getpid()).encode() in words and (path / "comm").read_text() == "actors-reaper\\n"
    except OSError:
        return False

import os
asyncio.run(main())
"""


def test_from_an_archive(tmp_path):
    """An application in one file, this package included, has its orphan reaper."""
    for package in (actors, supervisor, tests):
        folder = Path(package.__path__[0])
        shutil.copytree(folder, tmp_path / "source" / package.__name__, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "source" / "__main__.py").write_text(APPLICATION)
    zipapp.create_archive(tmp_path / "source", tmp_path / "app.pyz")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p.endswith("-packages"))}
    command = [sys.executable, tmp_path / "app.pyz"]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=True)
    assert "REAPERS 1" in done.stdout
    assert "ALIVE 0" in done.stdout
    assert "orphan_reaper.lost" not in done.stdout


def lost(logs):
    """What was told of reapers that are not there."""
    return [line["detail"] for line in logs if line["event"] == "orphan_reaper.lost"]


async def test_signals_for_the_daemon_are_not_for_its_orphan_reaper():
    """SIGINT, SIGTERM and SIGHUP, which a terminal or an init sends to everybody, do not end it."""
    async with tree() as root:
        await until(reapers, "an orphan reaper")
        (pid,) = reapers()
        await until(lambda: "pidfd" in str(targets(pid)), "it is at work")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        pids = await root["a"].ask(Beget(["daemonise"]))
        root["a"].tell_nowait(Leave())
        await until(lambda: not any(map(alive, pids)), f"the end of {pids}")
        assert [pid] == reapers()


# ---- kill -9 the daemon


DAEMON = """
import asyncio, os, signal, sys, threading, time
from pathlib import Path
from supervisor import ChildSpec, Supervisor
from tests.support.relatives import KINDS, Beget, Parent, Spin
from tests.support.taking_time import sleep_forever

if __name__ != "__main__" and Path("slow").exists():
    print("RELATIVES", os.getpid(), flush=True)
    sleep_forever()

async def main(how):
    async with Supervisor(*(ChildSpec(Parent, name=name) for name in "ab")) as root:
        pids = await root["a"].ask(Beget(list(KINDS)))
        pids += [child.pid for child in root.which_children()]
        if how == "spin":
            root["a"].tell_nowait(Spin("spinning"))
        if how == "stopped":
            os.kill(root.which_children()[0].pid, signal.SIGSTOP)
        print("RELATIVES", *pids, flush=True)
        if how == "clean":
            return
        await asyncio.Event().wait()

if __name__ == "__main__":
    how = sys.argv[1]
    if how == "thread":
        thread = threading.Thread(target=asyncio.run, args=(main(how),))
        thread.start()
        thread.join()
    elif how == "fork":
        async def forked():
            asyncio.get_running_loop().call_later(0.2, fork)
            await main(how)
        def fork():
            if os.fork() == 0:  # it holds all that the daemon has
                signal.pause()
        asyncio.run(forked())
    else:
        asyncio.run(main(how))
    print("LEFT", flush=True)
"""


def daemon(tmp_path, how):
    return Script(tmp_path, DAEMON, args=[str(tmp_path / "daemon.py"), how])


def relatives(script):
    """The process ids it told."""
    return [int(word) for word in script.line("RELATIVES").split()]


@pytest.mark.parametrize("how", ["main", "thread", "spin", "stopped", "fork"])
def test_everybody_ends_with_the_daemon(tmp_path, how):
    """Kill -9 the daemon: actors and all their descendants are gone within a second, and none holds its output open.

    Also when its loop ran in another thread, when an actor is in a loop of C code or stopped, and when a fork of the
    daemon holds everything that the daemon held.
    """
    with daemon(tmp_path, how) as script:
        pids = relatives(script)
        if how == "spin":
            until_now((tmp_path / "spinning").exists, "the loop")
        if how == "fork":
            # of the thread that forks
            children = Path(f"/proc/{script.process.pid}/task/{script.process.pid}/children")
            until_now(lambda: len(children.read_text().split()) > 0, "the fork")
        assert all(map(alive, pids))
        script.process.kill()
        script.process.wait()
        gone(pids)
        if how != "fork":
            assert "" == script.process.stdout.read()


FALLS = """
import asyncio
import os
import signal
import sys
from multiprocessing import util

from supervisor import ChildSpec, Supervisor
from tests.support.actors import Common

spawn = util.spawnv_passfds


def spawn_and_fall(path, arguments, descriptors):
    pid = spawn(path, arguments, descriptors)
    if "spawn_main" in str(arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    return pid


async def main():
    async with Supervisor(ChildSpec(Common), spares=0):
        sys.exit("it was not killed")


util.spawnv_passfds = spawn_and_fall
asyncio.run(main())
"""


def test_a_daemon_that_is_killed_as_it_starts_a_process():
    """The process has been told what it is by then: it leaves without a word, not with multiprocessing's EOFError."""
    done = subprocess.run(
        [sys.executable, "-c", FALLS], capture_output=True, text=True, timeout=DEADLINE, check=False
    )  # returns when the process has closed its standard error, too
    assert (-signal.SIGKILL, "") == (done.returncode, done.stderr)


def test_a_process_that_still_imports_ends_with_the_daemon(tmp_path):
    """An actor's process that executes the daemon's main module, for an hour, is not bound to its daemon's life yet."""
    (tmp_path / "slow").touch()
    with daemon(tmp_path, "main") as script:
        pids = relatives(script)
        script.process.kill()
        script.process.wait()
        gone(pids)


UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture
def first(tmp_path):
    """Makes a program that is PID 1 of a process namespace of its own."""
    if (
        shutil.which("unshare") is None
        or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this user may not make a process namespace")
    return lambda program: Script(tmp_path, program, command=[*UNSHARE, sys.executable, str(tmp_path / "daemon.py")])


@pytest.fixture
def contained(first):
    """A daemon that is PID 1."""
    with first(CONTAINED) as script:
        assert "1" == script.line("PID")
        yield script


def test_as_the_first_process_of_a_container(contained):
    """A daemon that is PID 1: actors start, and of those who were orphaned to it none is left, not even as a zombie."""
    contained.line("UP")
    contained.process.stdin.write("go\n")
    contained.process.stdin.flush()
    assert "[]" == contained.line("LEFT")


def test_the_first_process_of_a_container_is_killed(contained):
    """Kill -9 PID 1 from outside: the whole namespace is gone."""
    contained.line("UP")
    inside = inhabitants(contained.process.pid)
    assert len(inside) > 10
    (first,) = (pid for pid, inner in inside.items() if inner == 1)
    os.kill(first, signal.SIGKILL)
    gone(inside)


def test_sigterm_stops_the_first_process_of_a_container(first):
    """The kernel gives PID 1 only signals that it has a handler for: a daemon that serves has one for SIGTERM."""
    with first(SERVED) as script:
        script.line("UP")
        (daemon,) = (pid for pid, inner in inhabitants(script.process.pid).items() if inner == 1)
        os.kill(daemon, signal.SIGTERM)
        script.line("DOWN")
        assert 0 == script.process.wait(DEADLINE)


SERVED = """
import asyncio
from supervisor import ChildSpec, Supervisor
from tests.support.relatives import Parent

async def main():
    async with Supervisor(ChildSpec(Parent, name="a")) as root:
        asyncio.get_running_loop().call_soon(lambda: print("UP", flush=True))  # when it serves
        await root.serve()
    print("DOWN", flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


CONTAINED = """
import asyncio, os, sys
from multiprocessing import resource_tracker
from supervisor import ChildSpec, Supervisor
from tests.support.relatives import KINDS, Beget, Leave, Parent

def others():
    return [entry for entry in os.listdir("/proc") if entry.isdigit() and entry != "1"]

async def main():
    async with Supervisor(ChildSpec(Parent, name="a")) as root:
        for _ in range(2):
            await root["a"].ask(Beget(list(KINDS)))
            root["a"].tell_nowait(Leave())
        await root["a"].ask(Beget(list(KINDS)))
        print("UP", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

if __name__ == "__main__":
    resource_tracker.ensure_running()
    before = others()
    print("PID", os.getpid(), flush=True)
    asyncio.run(main())
    print("LEFT", [pid for pid in others() if pid not in before], flush=True)
"""


def inhabitants(outer):
    """Who lives in the namespace that a process made for its children: their numbers there, by ours."""
    (child,) = children_of(outer)
    space = Path(f"/proc/{child}/ns/pid").readlink()
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "ns/pid").readlink() == space:
                found[int(path.name)] = int(
                    (path / "status").read_text(errors="replace").split("NSpid:")[1].splitlines()[0].split()[-1]
                )
        except OSError:
            continue
    return found
