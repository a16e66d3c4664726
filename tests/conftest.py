"""For every test: what it starts has ended when it ends, and the log is captured."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import inspect
import os
import signal
import sys
import tempfile
import threading
import time
from multiprocessing import process, resource_tracker, shared_memory

import hypothesis
import pytest
import structlog

from supervisor.messaging.refs import MailboxRef
from supervisor.testing import InlineSupervisor
from tests.support.sites import site_of
from tests.support.waiting import DEADLINE

LINGER = 10.0  # seconds in which what is on its way out may still be seen
LINUX = sys.platform == "linux"
OURS = f"actors-tests-{os.getpid()}"  # in the environment of whatever the tests start, and in names that they make

pytest_plugins = ["actors.pytest_plugin"]  # where the project is installed pytest has loaded it already

sys.dont_write_bytecode = False  # here alone, whatever is set: pytest rewrites each test module once, not at each run
faulthandler.enable()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background; what it starts inherits that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
hypothesis.settings.register_profile("suite", deadline=None)  # how long an example takes says how busy the machine is
hypothesis.settings.load_profile("suite")
os.environ["ACTORS_TESTS"] = OURS
MARK = f"ACTORS_TESTS={OURS}\0".encode()
KERNEL = (0, 2)  # the parents of the kernel's own threads
ASKS = [MailboxRef.ask, MailboxRef.ask_many, MailboxRef.call, MailboxRef.call_many]
process.current_process()._config["semprefix"] = f"/{OURS}"  # the names that multiprocessing gives to semaphores
shared_memory._SHM_NAME_PREFIX = f"/{OURS}"


def pytest_addoption(parser):
    parser.addoption(
        "--engine",
        choices=["local", "agents", "ray"],
        default="local",
        help="where actors of the fate suite and of trees run: processes of the daemon, of agents without Ray, of Ray",
    )


@pytest.fixture
def site(request):
    """Where actors run: `ChildSpec(..., place=..., start_timeout=...)` and `Supervisor(..., **site.options)`."""
    return site_of(request.config.getoption("--engine"))


@pytest.fixture(scope="session", autouse=True)
def what_was_imported():
    """It stays: the collector need not look through it after each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """Where everything that asks for a temporary file gets it, here and in what is started from here."""
    place = tmp_path_factory.mktemp("temporary")
    tempfile.tempdir = str(place)
    os.environ["TMPDIR"] = str(place)


@pytest.fixture(autouse=True)
def logs():
    """The structlog lines of the test, as dicts; nothing is printed."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def patience(request):
    """An ask of a process that does not say how long it waits does so for a minute: tests do not gate on a time."""
    with pytest.MonkeyPatch.context() as patch:
        for ask in ASKS if request.node.get_closest_marker("processes") else ():
            patch.setitem(ask.__kwdefaults__, "timeout", DEADLINE)
        yield


@pytest.fixture
def engine(request, monkeypatch):
    """Where the actors of a test run, see `tests.support.engines`."""
    if request.param == "inline":
        monkeypatch.setattr(request.module, "Supervisor", InlineSupervisor)
    return request.param


@pytest.fixture
async def no_task_left():
    """After the test no task is left in its loop."""
    yield
    mine = asyncio.current_task()

    def others():
        return [task for task in asyncio.all_tasks() if task is not mine and not task.done()]

    deadline = time.monotonic() + LINGER
    while others() and time.monotonic() < deadline:
        await asyncio.sleep(0.005)
    assert not others(), "tasks are left behind"


@pytest.fixture(autouse=True)
def nothing_left_behind(request):
    """After the test nothing is there that was not there before.

    No process, be it a descendant that was orphaned and lives in a session of its own; no thread, no descriptor, no
    shared memory, no temporary file.
    """
    if not LINUX:
        yield
        return
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("no_task_left")
    resource_tracker.ensure_running()  # multiprocessing keeps it from its first semaphore on
    before = {name: look() for name, look in LOOKS.items()}
    yield
    request.node.funcargs.clear()  # pytest would hold what the fixtures made
    left = left_over(before)
    deadline = time.monotonic() + LINGER
    while left and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.005)
        left = left_over(before)
    assert not left, f"the test left behind: {left}"


def left_over(before):
    """What is there now and was not there before, by kind."""
    now = {name: look() for name, look in LOOKS.items()}
    more = {name: {key: now[name][key] for key in now[name].keys() - before[name].keys()} for name in now}
    return {name: things for name, things in more.items() if things}


class Processes:
    """Our children, zombies included, and whatever else was started from here, by pid.

    Whatever became of its parents, its environment tells. A stranger is looked at once: it does not become ours.
    """

    def __init__(self):
        self._newest = None
        self._strangers = {os.getpid()}
        self._found = {}

    def __call__(self):
        newest = read("/proc/loadavg").split()[-1]  # the process id that the kernel has given out last
        pids = set(self._found)
        if newest != self._newest:
            pids = {int(name) for name in names("/proc") if name.isdigit()}
            self._strangers &= pids  # the number of one that is gone may be another's tomorrow
        self._newest = newest
        self._found = {pid: words for pid in pids - self._strangers if (words := self._ours(pid)) is not None}
        return self._found

    def _ours(self, pid):
        """The state and the command line of a process that was started from here; None for any other."""
        try:
            name, _, rest = read(f"/proc/{pid}/stat").rpartition(b")")
            state, parent = rest.split()[:2]
            if int(parent) != os.getpid():
                environment = read(f"/proc/{pid}/environ")
                if MARK not in environment:
                    if environment or int(parent) in KERNEL:  # none: it may be about to execute its program
                        self._strangers.add(pid)
                    return None
                name = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ")
        except OSError:  # gone, or another user's
            return None
        return f"{name.decode(errors='replace')} {state.decode()}"


def read(path):
    """All bytes of a file; far quicker than pathlib."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(fd, 65536), b""))
    finally:
        os.close(fd)


def names(folder):
    """What is in a directory; quicker, too."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def threads():
    """Our threads; those of an event loop's own executor go with the loop."""
    return {thread.ident: thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def descriptors():
    """Our descriptors, by number and target, so that a number used again is seen."""
    found = {}
    for name in names("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - as `read`
        except OSError:  # the one that has read the directory
            continue
        found[int(name), target] = ""
    return found


def shared():
    """Shared memory and semaphores that bear a name of ours."""
    return {name: "" for name in names("/dev/shm") if OURS in name}


def temporary():
    """Temporary files."""
    return dict.fromkeys(names(tempfile.gettempdir()), "")


LOOKS = {
    "processes": Processes(),
    "threads": threads,
    "descriptors": descriptors,
    "shared memory": shared,
    "temporary files": temporary,
}
