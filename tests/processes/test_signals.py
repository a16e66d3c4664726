"""Signals and exits: the daemon always comes to its end, in whatever moment and way, and takes everybody with it."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.terminal import CTRL_C, Terminal
from tests.support.waiting import Script, alive, until_now

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
]

AT_ONCE = 4  # daemons
PATIENCE = 25.0  # seconds; our own waits after a second Ctrl-C are over after ten

BRIEF = """
import asyncio, sys
from actors import Actor
from supervisor import ChildSpec, Supervisor

class Calm(Actor):
    pass

async def main(seconds):
    print("BEGUN", flush=True)
    async with Supervisor(ChildSpec(Calm, name="a"), ChildSpec(Calm, name="b")):
        print("UP", flush=True)
        await asyncio.sleep(seconds)
        print("DOWN", flush=True)

if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
"""

# what it has printed, seconds after that, how often: while it starts, while it works, while it stops
PRESSES = [
    *(("BEGUN", after, 1 + number % 2) for number, after in enumerate((0.0, 0.02, 0.05, 0.1, 0.15, 0.2))),
    *(("UP", after, times) for after, times in ((0.0, 1), (0.0, 2), (0.05, 2))),
    *(("DOWN", after, times) for after, times in ((0.0, 1), (0.0, 2), (0.01, 1))),
]


SAID = {"KeyboardInterrupt", "asyncio.exceptions.CancelledError"}


def test_ctrl_c_at_any_moment(tmp_path):
    """Pressed once or twice while it starts, works or stops: it ends, with no more to say than KeyboardInterrupt."""
    script = tmp_path / "daemon.py"
    script.write_text(BRIEF)

    def run(press):
        word, after, times = press
        terminal = Terminal(script, "3600" if word == "UP" else "0", MOMENT="of " + str(tmp_path))
        terminal.read_until(word)  # until asyncio takes SIGINT, which is before BEGUN, what is said is CPython's affair
        for _ in range(times):
            time.sleep(after)  # the load itself: a moment of a start or of a stop
            terminal.type(CTRL_C)
        if times > 1 and not terminal.ends_within(PATIENCE):
            terminal.type(CTRL_C)  # asyncio has lost the step of a task, see docs/how-to/signals.md
        return terminal.end(), terminal

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(run, PRESSES))
    for (word, _, _), (code, terminal) in zip(PRESSES, ended, strict=True):
        assert code in (0, 130, -signal.SIGINT), terminal.output
        assert terminal.exceptions() <= SAID, terminal.output
        assert word != "UP" or "KeyboardInterrupt" in terminal.output, terminal.output
    until_now(lambda: [] == bearing(f"MOMENT=of {tmp_path}"), "the end of all")


def bearing(setting):
    """Who has that in its environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"{setting}\0".encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


# ---- ways to leave


LEAVING = """
import asyncio, os, signal, sys, threading, time
from actors import Actor, ExitReason
from supervisor import ChildSpec, Supervisor

class Calm(Actor):
    def on_start(self) -> None:
        print("CHILD", os.getpid(), flush=True)
    def on_stop(self, reason: ExitReason) -> None:
        print("STOPPED", flush=True)

async def main(how, reading):
    async with Supervisor(ChildSpec(Calm, name="a", output="inherit"), reading=reading):
        if how == "sys.exit":
            sys.exit(3)
        if how == "exception":
            raise ValueError("of the body")
        if how == "os._exit":
            os._exit(4)
        if how == "loop stopped":
            asyncio.get_running_loop().stop()
        if how == "killed":
            os.kill(os.getpid(), signal.SIGTERM)
        up.set()
        await asyncio.Event().wait()

if __name__ == "__main__":
    how, reading = sys.argv[1:]
    up = threading.Event()
    if how == "main thread ends":
        threading.Thread(target=asyncio.run, args=(main(how, reading),), daemon=True).start()
        up.wait()
    else:
        asyncio.run(main(how, reading))
"""


@pytest.mark.parametrize("reading", ["thread", "loop"])
@pytest.mark.parametrize(
    ("how", "code", "graceful"),
    [
        ("sys.exit", 3, True),
        ("exception", 1, True),
        ("loop stopped", 1, True),
        ("os._exit", 4, False),
        ("killed", -signal.SIGTERM, False),
        ("main thread ends", 0, False),
    ],
)
def test_ways_to_leave(tmp_path, how, code, graceful, reading):
    """However the program ends, its exit is not held up, and its actors end with it: in peace if it has the time."""
    with Script(tmp_path, LEAVING, args=[str(tmp_path / "daemon.py"), how, reading]) as daemon:
        pid = int(daemon.line("CHILD"))
        exit_code, out, err = daemon.end()
        assert code == exit_code, err
        assert graceful == ("STOPPED" in out)
        until_now(lambda: not alive(pid), "the actor is gone")


FORGOTTEN = """
import asyncio, os, sys, threading, time
from actors import Actor
from supervisor import ChildSpec, Supervisor
from tests.support.descent import children_of

class Calm(Actor):
    pass

async def main():
    root = Supervisor(ChildSpec(Calm, name="a"), reading=sys.argv[1])
    await root.__aenter__()
    print("CHILD", root.which_children()[0].pid, flush=True)

if __name__ == "__main__":
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()
    while threading.active_count() > 1:  # the thread that spawns is the last to go
        time.sleep(0.01)
    print("LEFT", len(children_of(os.getpid())), flush=True)
"""


@pytest.mark.parametrize("reading", ["thread", "loop"])
def test_a_tree_that_was_forgotten_in_a_thread(tmp_path, reading):
    """The thread and its loop are gone, the daemon goes on: the actors end all the same, and nothing stays."""
    with Script(tmp_path, FORGOTTEN, args=[str(tmp_path / "daemon.py"), reading]) as daemon:
        pid = int(daemon.line("CHILD"))
        until_now(lambda: not Path(f"/proc/{pid}").exists(), "the actor is gone, and buried")
        assert "1" == daemon.line("LEFT"), "of its threads the main one, of its children multiprocessing's own helper"


# ---- pipes without a reader


WRITING = """
import asyncio, os, signal, sys
from pathlib import Path
from actors import Actor, Message, handles
from supervisor import Backoff, ChildSpec, Intensity, Supervisor

class Note(Message[int]):
    pass

class Calm(Actor):
    @handles
    def note(self, msg: Note) -> int:
        return 1

def is_dead(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"

async def main():
    spec = ChildSpec(Calm, name="a", backoff=Backoff(initial=0.0, cap=0.0))
    async with Supervisor(spec, intensity=Intensity.unlimited(), spares=0) as root:
        for _ in range(2):
            pid = root.which_children()[0].pid
            os.kill(pid, signal.SIGKILL)
            while not is_dead(pid):  # in this turn of the loop nobody hears of it
                pass
            root["a"].tell_nowait(Note())
            print("ANSWERED", await root["a"].ask(Note(), timeout=60), flush=True)

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    asyncio.run(main())
    print("SEEN", signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL, flush=True)
    ours, theirs = os.pipe()
    os.close(ours)
    os.write(theirs, b"what ends this program")
"""


def test_a_daemon_that_sigpipe_would_end(tmp_path):
    """Where SIGPIPE has its default action, it ends no daemon that writes to a dead actor; after the tree it acts."""
    with Script(tmp_path, WRITING) as daemon:
        code, out, err = daemon.end()
        assert ["ANSWERED 1", "ANSWERED 1", "SEEN True"] == out.splitlines(), err
        assert -signal.SIGPIPE == code


# ---- others who bury


REAPING = """
import asyncio, os, signal, sys, threading, time, warnings
from actors import Actor, ActorsError, Message, handles
from supervisor import Backoff, ChildExited, ChildSpec, Intensity, Supervisor

class Die(Message[None]):
    pass

class Mortal(Actor):
    @handles
    def die(self, msg: Die) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

def reap_for_ever():
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.001)

def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

async def main(how):
    if how == "a thread":
        threading.Thread(target=reap_for_ever, daemon=True).start()
    elif how == "a handler":
        signal.signal(signal.SIGCHLD, reap)
    elif how == "ignored":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    else:
        warnings.simplefilter("ignore", DeprecationWarning)
        watcher = asyncio.FastChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
    specs = [ChildSpec(Mortal, name=name, backoff=Backoff(initial=0.0, cap=0.0)) for name in "ab"]
    root = Supervisor(*specs, intensity=Intensity.unlimited())
    events = root.events()
    async with root:
        for name in "ab":
            root[name].tell_nowait(Die())
            async for event in events:
                if isinstance(event, ChildExited):
                    print("END", event.report.reason.kind.value, event.report.decision, flush=True)
                    break
        for name in "ab":
            try:
                await root[name].ask(Die())
            except ActorsError as error:
                print("ASKED", type(error).__name__, flush=True)
    print("LEFT", [thread.name for thread in threading.enumerate() if "actors" in thread.name], flush=True)

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("how", ["a thread", "a handler", "ignored", "a child watcher"])
def test_someone_else_reaps(tmp_path, how):
    """A part of the daemon takes the exit codes of all children: lives end as lost and go on, and nothing hangs."""
    if how == "a child watcher" and sys.version_info >= (3, 14):
        pytest.skip("there are none any more")
    with Script(tmp_path, REAPING, args=[str(tmp_path / "daemon.py"), how]) as daemon:
        code, out, err = daemon.end()
        assert 0 == code, err
        ends = [line.split()[1:] for line in out.splitlines() if line.startswith("END")]
        assert 2 == len(ends)
        assert {"restart"} == {decision for _, decision in ends}
        assert {kind for kind, _ in ends} <= {"lost", "killed"}
        assert 2 == out.count("ASKED ActorCrashed")
        assert "LEFT []" in out
        assert "Traceback" not in err
