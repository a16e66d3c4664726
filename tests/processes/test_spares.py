"""Spares: which life gets one, and that none of them harms an actor."""

from __future__ import annotations

import asyncio
import importlib
import os
import resource
import signal
import sys
import time
import zipfile
from pathlib import Path

import pytest

from actors import UsageError
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.process import spares
from supervisor.process.spawn.lean_spawn import LeanProcess
from supervisor.process.spawn.sources import Sources
from supervisor.process.spawn.surroundings import surroundings
from tests.support.actors import AsyncPuppet, Block, Echo, Modules, Puppet, WhoAreYou
from tests.support.long import often
from tests.support.taking_time import FOREVER
from tests.support.waiting import Watch, alive, until, until_now

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """No test waits half a second for it to be calm."""
    monkeypatch.setattr(spares, "CALM", 0.02)


def tree(*specs, **options):
    return Supervisor(*specs, **{"intensity": Intensity(100, 5.0), **options})


def child(actor=Puppet, *args, **options):
    return ChildSpec(actor, args=args, **{"name": "a", "backoff": AT_ONCE, **options})


def pids(root):
    """Of the spares that are ready."""
    return [spare.worker.pid for spare in root._launcher._spares._spares if spare.ready]


async def ready(root, count=1):
    """Wait until so many are ready; their pids."""
    await until(lambda: count == root.snapshot().spares, f"{count} spares")
    return pids(root)


async def who(root, name="a"):
    return await root[name].ask(WhoAreYou(), timeout=None)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module with an actor, and with that code in front of it, which runs in spares only."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(name, *code):
        lines = [
            "import multiprocessing, os, sys, time",
            "from tests.support.actors import Puppet",
            'if multiprocessing.current_process().name == "spare":',
            *(f"    {line}" for line in code or ["pass"]),
            "class Local(Puppet): pass",
        ]
        (tmp_path / f"{name}.py").write_text("\n".join(lines) + "\n")
        made.append(name)
        return importlib.import_module(name).Local

    yield make
    for name in made:
        sys.modules.pop(name, None)


# ---- who gets it


@pytest.mark.parametrize("reading", ["thread", "loop"])
async def test_a_spare_takes_over(reading):
    """After kill -9 the next life is the process that waited, and another waits soon."""
    async with tree(child(), reading=reading) as root:
        first = await who(root)
        (spare,) = await ready(root)
        assert alive(spare)
        assert spare != first.pid
        os.kill(first.pid, signal.SIGKILL)
        second = await who(root)
        assert (spare, 2) == (second.pid, second.incarnation)
        (another,) = await ready(root)
        assert another != spare
        os.kill(spare, signal.SIGKILL)
        assert another == (await who(root)).pid


async def test_it_is_that_life_in_everything():
    """Name, path, messages, stop: nothing tells that the process had waited."""
    root = tree(child())
    watch = Watch(root)
    async with root:
        first = await watch.started("a")
        await ready(root)
        os.kill(first.pid, signal.SIGKILL)
        second = await watch.started("a")
        answer = await who(root)
        assert (second.pid, "a", "/root/a", "/root/a") == (answer.pid, answer.name, answer.path, answer.ref)
        assert "x" == await root["a"].ask(Echo("x"))
    ended = await watch.exited("a")
    assert (second.pid, "shutdown", "expected") == (ended.pid, ended.reason.kind.value, ended.decision)


async def test_the_modules_are_there_before(module):
    """A spare has imported what was needed so far, and learns what is needed later."""
    async with tree(child()) as root:
        await ready(root)
        await root.start_child(child(module("spared_later"), name="later"))  # takes the spare, which did not know
        await ready(root)
        spare = root._launcher._spares._spares[0]
        assert {"tests.support.actors", "spared_later"} <= set(spare.knows)
        os.kill((await who(root)).pid, signal.SIGKILL)
        assert spare.worker.pid == (await who(root)).pid
        assert "spared_later" in await root["a"].ask(Modules())


async def test_a_spare_that_waits_learns_more(module):
    """Two spares: one becomes the new actor, the other imports its module, too."""
    async with tree(child(), spares=2) as root:
        before = await ready(root, 2)
        await root.start_child(child(module("spared_more"), name="more"))
        after = await ready(root, 2)
        assert before[1] == after[0]
        assert all("spared_more" in spare.knows for spare in root._launcher._spares._spares)


async def test_lanes_for_the_most_concurrent():
    """A spare serves the actor with the most handlers at once; one made before cannot."""
    async with tree(child(), spares=1) as root:
        (spare,) = await ready(root)
        await root.start_child(child(AsyncPuppet, name="wide"))
        assert spare in pids(root)
        os.kill(spare, signal.SIGKILL)
        await until(lambda: [spare] != pids(root) and pids(root), "another")
        (wide,) = await ready(root)
        os.kill(next(row.pid for row in root.which_children() if row.name == "wide"), signal.SIGKILL)
        watch = Watch(root)
        assert wide == (await watch.started("wide")).pid


@pytest.mark.parametrize("special", [{"env": {"A": "b"}}, {"rlimits": {"CORE": 0}}, {"output": "inherit"}], ids=str)
async def test_who_needs_a_fresh_process(special):
    """An environment, a limit or an output of its own: the spare stays for those without."""
    async with tree(child(), child(name="special", **special)) as root:
        (spare,) = await ready(root)
        os.kill((await who(root, "special")).pid, signal.SIGKILL)
        second = await who(root, "special")
        assert 2 == second.incarnation
        assert spare != second.pid
        os.kill((await who(root)).pid, signal.SIGKILL)
        assert spare == (await who(root)).pid


async def test_no_spares():
    """`spares=0`: none is made, and the next life is a fresh process."""
    async with tree(child(), spares=0) as root:
        first = await who(root)
        async with tree(child()) as other:
            await ready(other)  # begun later: one of the first tree would be there by now
        assert [] == root._launcher._spares._spares
        os.kill(first.pid, signal.SIGKILL)
        assert 2 == (await who(root)).incarnation
        assert 0 == root.snapshot().spares


async def test_several_spares():
    """As many as were asked for; a whole group that dies comes back from them."""
    async with tree(child(name="a"), child(name="b"), spares=2) as root:
        waiting = await ready(root, 2)
        assert "2 spare" in str(root).splitlines()[0]
        for name in "ab":
            os.kill((await who(root, name)).pid, signal.SIGKILL)
        assert set(waiting) == {(await who(root, name)).pid for name in "ab"}


# ---- while it is made


async def importing(root):
    """Wait until a spare imports; it."""
    made = root._launcher._spares._spares
    await until(lambda: made and made[0].importing, "a spare that imports")
    return made[0]


async def test_one_that_imports_is_taken(module, tmp_path):
    """No fresh process is started beside it, and it is ready only when the actor is."""
    actor = module("spared_slow", f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)")
    async with tree(child(actor)) as root:
        spare = await importing(root)
        os.kill((await who(root)).pid, signal.SIGKILL)
        await until(lambda: 2 == root.snapshot().children[0].life, "the next life")
        assert spare not in root._launcher._spares._spares
        asked = asyncio.create_task(who(root))
        await asyncio.sleep(0)
        assert not asked.done()
        (tmp_path / "go").touch()
        second = await asked
        assert (spare.worker.pid, 2) == (second.pid, second.incarnation)
        (another,) = await ready(root)
        os.kill(second.pid, signal.SIGKILL)
        assert another == (await who(root)).pid


async def test_one_that_imports_another_module_is_not_taken(module, tmp_path):
    """Nor does the actor wait for it; what is needed last is imported first."""
    slow = module("spared_foreign", f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)")
    async with tree(child(), child(slow, name="slow")) as root:
        spare = await importing(root)
        assert ("spared_foreign", "tests.support.actors") == spare.knows
        os.kill((await who(root)).pid, signal.SIGKILL)
        second = await who(root)
        assert 2 == second.incarnation
        assert spare.worker.pid != second.pid
        (tmp_path / "go").touch()
        await ready(root)


async def test_one_that_dies_in_the_import_of_a_life(module, tmp_path, logs):
    """The life starts on a fresh process; the module is left out of the next spare."""
    code = f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"
    actor = module("spared_in_vain", code, "raise LookupError('not here')")
    async with tree(child(actor)) as root:
        spare = await importing(root)
        os.kill((await who(root)).pid, signal.SIGKILL)
        await until(lambda: spare not in root._launcher._spares._spares, "the next life")
        (tmp_path / "go").touch()
        second = await who(root)
        assert 2 == second.incarnation
        assert spare.worker.pid != second.pid
        await until(lambda: any(line["event"] == "spare.failed" for line in logs), "its report")
    failed = {(line["module"], line["detail"]) for line in logs if line["event"] == "spare.failed"}
    assert {
        ("spared_in_vain", "LookupError: not here")
    } == failed  # twice, where the next one began before the first end


async def test_it_gives_way_while_it_imports(module, tmp_path, monkeypatch):
    """And runs as others do when it is ready, or taken."""
    monkeypatch.setattr(spares, "POLITE", 600.0)
    actor = module("spared_polite", f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)")
    async with tree(child(actor)) as root:
        pid = (await importing(root)).worker.pid
        if hasattr(os, "sched_getscheduler"):
            assert os.SCHED_OTHER != os.sched_getscheduler(pid)
        os.kill((await who(root)).pid, signal.SIGKILL)
        (tmp_path / "go").touch()
        assert pid == (await who(root)).pid
        (waiting,) = await ready(root)
        if hasattr(os, "sched_getscheduler"):
            assert [os.SCHED_OTHER] * 2 == [os.sched_getscheduler(pid), os.sched_getscheduler(waiting)]


async def test_an_actor_that_dies_whenever_it_starts():
    """A crash loop without a pause: it runs on spares, too."""
    async with tree(child(), spares=1, intensity=Intensity(1000, 5.0)) as root:
        await ready(root)
        seen = []
        for _ in range(6):
            life = await who(root)
            seen += [spare.worker.pid for spare in root._launcher._spares._spares]
            await until(lambda: root._launcher._spares._spares, "the next one")
            seen += [spare.worker.pid for spare in root._launcher._spares._spares]
            os.kill(life.pid, signal.SIGKILL)
        assert (await who(root)).pid in seen


async def test_as_many_as_are_needed():
    """`spares="auto"`: one, until a group has died together."""
    names = "abc"
    async with tree(*(child(name=name) for name in names), spares="auto") as root:
        await ready(root)
        for pid in [(await who(root, name)).pid for name in names]:
            os.kill(pid, signal.SIGKILL)
        assert [2, 2, 2] == [(await who(root, name)).incarnation for name in names]
        await ready(root, 3)


# ---- none is stale


def _put_on_path(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))


def _set_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ROTATED", "new")


def _change_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _set_umask(tmp_path, monkeypatch):
    os.umask(0o027)


def _set_limit(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if soft else min(1, hard), hard))


def _set_identity(tmp_path, monkeypatch):
    os.setegid(12345)


def _ignore_a_signal(tmp_path, monkeypatch):
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _set_oom_score(tmp_path, monkeypatch):
    path = Path("/proc/self/oom_score_adj")
    path.write_text(str(min(1000, int(path.read_text()) + 1)))


def _set_what_a_core_has(tmp_path, monkeypatch):
    path = Path("/proc/self/coredump_filter")
    path.write_text(f"0x{int(path.read_text(), 16) ^ 1:x}")


def _turn_warnings_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [*sys.warnoptions, "once::ImportWarning"])


CHANGES = [
    _ignore_a_signal,
    _set_oom_score,
    _set_what_a_core_has,
    _turn_warnings_on,
    _put_on_path,
    _set_environment,
    _change_directory,
    _set_umask,
    _set_limit,
]


@pytest.fixture
def restored():
    """The process is as before, after the test."""
    umask, core, group = os.umask(0o022), resource.getrlimit(resource.RLIMIT_CORE), os.getegid()
    os.umask(umask)
    score, handler = Path("/proc/self/oom_score_adj"), signal.getsignal(signal.SIGUSR2)
    cores = Path("/proc/self/coredump_filter")
    was, had = score.read_text(), cores.read_text()
    yield
    score.write_text(was)
    cores.write_text(f"0x{had.strip()}")
    signal.signal(signal.SIGUSR2, handler)
    os.umask(umask)
    resource.setrlimit(resource.RLIMIT_CORE, core)
    os.setegid(group)


@pytest.mark.parametrize(
    "change", [*CHANGES, *([_set_identity] if os.getuid() == 0 else [])], ids=lambda change: change.__name__
)
@pytest.mark.usefixtures("restored")
async def test_a_stale_spare_is_not_used(change, tmp_path, monkeypatch, logs):
    """What a process inherits was changed in the daemon: the next life is a fresh process, and so is the next spare."""
    async with tree(child()) as root:
        (stale,) = await ready(root)
        change(tmp_path, monkeypatch)
        os.kill((await who(root)).pid, signal.SIGKILL)
        second = await who(root)
        assert 2 == second.incarnation
        assert stale != second.pid
        (fresh,) = await ready(root)
        assert fresh != stale
        os.kill(second.pid, signal.SIGKILL)
        assert fresh == (await who(root)).pid
    assert [] == [line for line in logs if line["event"] == "spare.failed"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot do that")
async def test_a_process_runs_where_the_loop_does():
    """The thread that starts processes was there before the daemon chose its processors: it follows."""
    before = os.sched_getaffinity(0)
    async with tree(child(), spares=0) as root:
        first = await who(root)
        os.sched_setaffinity(0, {min(before)})
        try:
            os.kill(first.pid, signal.SIGKILL)
            assert {min(before)} == os.sched_getaffinity((await who(root)).pid)
        finally:
            os.sched_setaffinity(0, before)


async def test_a_spare_that_has_read_what_was_changed(tmp_path, module):
    """A source file was edited: the next life runs the new code."""
    actor = module("spared_edited")
    async with tree(child(actor)) as root:
        first = await who(root)
        (stale,) = await ready(root)
        source = tmp_path / "spared_edited.py"
        source.write_text(source.read_text() + "# edited\n")
        os.kill(first.pid, signal.SIGKILL)
        assert stale != (await who(root)).pid


async def test_a_plugin_folder_put_on_the_path(tmp_path, monkeypatch):
    """Its actor starts at the first try, although a spare was there before."""
    async with tree(child()) as root:
        await ready(root)
        (tmp_path / "spared_plugin.py").write_text(
            "from tests.support.actors import Puppet\nclass Plugin(Puppet): pass\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        plugin = importlib.import_module("spared_plugin")
        await root.start_child(child(plugin.Plugin, name="plugin"))
        assert 1 == (await who(root, "plugin")).incarnation
    sys.modules.pop("spared_plugin", None)


def test_what_is_looked_at():
    """Two looks without a change between them are equal; the files are those that are loaded, and not the library's."""
    files = Sources(("tests",))
    assert __file__ in files
    assert os.__file__ not in files
    assert spares.__file__ not in files
    assert spares.__file__ in Sources(("supervisor.testing",))
    assert surroundings() == surroundings()
    assert files.unchanged


def _edited(folder):
    (folder / "looked.py").write_text("VALUE = 'another'\n")


def _removed(folder):
    (folder / "looked.py").unlink()


def _package_beside(folder):
    (folder / "looked").mkdir()


def _found_earlier(folder):
    (folder / "first" / "looked.py").touch()


def _submodule_replaced(folder):
    (folder / "space" / "part.py").rename(folder / "space" / "part.pyc")


def _made_a_package(folder):
    (folder / "space" / "__init__.py").touch()


def _archive_replaced(folder):
    _archive(folder, "VALUE = 'another'\n")


def _archive(folder, text):
    with zipfile.ZipFile(folder / "looked.zip", "w") as archive:
        archive.writestr("zipped.py", text)
    return folder / "looked.zip"


@pytest.fixture
def looked(tmp_path, monkeypatch):
    """A folder with modules that are loaded: a plain one, one of a namespace package, one in an archive."""
    (tmp_path / "looked.py").touch()
    for name in ("first", "space"):
        (tmp_path / name).mkdir()
    (tmp_path / "space" / "part.py").touch()
    for folder in (tmp_path, _archive(tmp_path, ""), tmp_path / "first"):
        monkeypatch.syspath_prepend(str(folder))
    names = ("looked", "space.part", "zipped", "space")
    for name in names[:3]:
        importlib.import_module(name)
    yield tmp_path
    for name in names:
        sys.modules.pop(name)


@pytest.mark.parametrize(
    "change",
    [_edited, _removed, _package_beside, _found_earlier, _submodule_replaced, _made_a_package, _archive_replaced],
    ids=lambda change: change.__name__,
)
def test_what_a_process_would_read(looked, change):
    """Other files, or the same ones with another content: it counts."""
    sources = Sources(("looked",))
    assert sources.unchanged
    change(looked)
    assert not sources.unchanged


def test_what_a_process_would_not_read(looked):
    """A file that is no module, or none that is loaded; a folder that Python makes."""
    sources = Sources(("looked",))
    for name in ("looked.log", "looked.db", "other.py"):
        (looked / name).touch()
    (looked / "__pycache__").mkdir(exist_ok=True)
    assert sources.unchanged
    later = Sources(("looked",))
    later.keep(sources)
    assert later.unchanged
    _edited(looked)
    later.keep(Sources(("looked",)))
    assert later.unchanged
    later.keep(sources)
    assert not later.unchanged


@pytest.mark.parametrize("count", [-1, "two", 1.5])
def test_a_number_that_is_none(count):
    """It is refused when the supervisor is made."""
    with pytest.raises(UsageError, match="spares must be a whole number of at least 0"):
        Supervisor(child(), spares=count)


# ---- no harm


async def test_a_spare_that_dies_is_replaced(logs):
    """Calmly: after a pause that doubles with each that dies unused; said once."""
    async with tree(child()) as root:
        first = await who(root)
        begun = time.monotonic()
        for _ in range(3):
            (spare,) = await ready(root)
            os.kill(spare, signal.SIGKILL)
            await until(lambda spare=spare: spare not in pids(root), "its end")
        (last,) = await ready(root)
        assert 0.02 * (2 + 4 + 8) <= time.monotonic() - begun
        assert first == await who(root)
        os.kill(first.pid, signal.SIGKILL)
        assert last == (await who(root)).pid
    lost = [line for line in logs if line["event"] == "spare.failed"]
    assert [("it ended with exit code -9", None)] == [(line["detail"], line.get("module")) for line in lost]


async def test_a_spare_that_has_just_died_is_not_taken():
    """Also before its death is reported: no life starts in a dead process."""
    async with tree(child()) as root:
        first = await who(root)
        (spare,) = await ready(root)
        os.kill(spare, signal.SIGKILL)
        until_now(lambda: not alive(spare), "its death")  # the loop stands still
        os.kill(first.pid, signal.SIGKILL)
        second = await who(root)
        assert spare != second.pid
        assert 2 == second.incarnation


FAULTS = {
    "raises": (["raise LookupError('not here')"], "LookupError: not here"),
    "leaves": (["sys.exit(3)"], "SystemExit: 3"),
    "dies": (["os.kill(os.getpid(), 11)"], "it ended with exit code -11"),
    "hangs": ([f"time.sleep({FOREVER})"], "it was not ready after 4 s"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
async def test_an_import_that_fails_in_a_spare(module, monkeypatch, logs, fault):
    """The module is left out of the next spare, once and for all; its actor starts as ever, others faster."""
    monkeypatch.setattr(spares, "PATIENCE", 4.0 if fault == "hangs" else 30.0)
    code, why = FAULTS[fault]
    bad = module(f"spared_{fault}", *code)
    async with tree(child(), child(bad, name="bad")) as root:
        (spare,) = await ready(root)
        first = await who(root, "bad")
        os.kill(first.pid, signal.SIGKILL)
        second = await who(root, "bad")
        assert (spare, 2) == (second.pid, 2)
        await ready(root)
    lost = [line for line in logs if line["event"] == "spare.failed"]
    assert [(f"spared_{fault}", why)] == [(line["module"], line["detail"]) for line in lost]


async def test_a_process_that_cannot_be_started(monkeypatch, logs):
    """It is tried again, ever more seldom; actors do not notice."""
    start, tried = LeanProcess.start, []

    def refuse(process):
        if process.name == "spare" and len(tried) < 4:
            tried.append(time.monotonic())
            raise OSError("no more processes")
        start(process)

    monkeypatch.setattr(LeanProcess, "start", refuse)
    async with tree(child()) as root:
        await ready(root)
        assert 0.02 * (2 + 4 + 8) <= tried[3] - tried[0]
    (line,) = [line for line in logs if line["event"] == "spare.failed"]
    assert "it could not be started: no more processes" == line["detail"]


async def test_a_hanging_import_delays_no_stop(module):
    """A spare in the middle of an import is gone when the tree is."""
    bad = module("spared_forever", f"time.sleep({FOREVER})")
    async with tree(child(bad)) as root:
        await until(lambda: root._launcher._spares._spares, "a spare")
        await until(lambda: root._launcher._spares._spares[0].importing, "its import")
        pid = root._launcher._spares._spares[0].worker.pid
    assert not alive(pid)


async def test_stopping_while_one_is_made():
    """At whatever moment of its making: conftest sees that nothing is left."""
    for moment in range(0, 12, often(3, 1)):
        async with tree(child()) as root:
            await until(lambda: root._launcher._spares._timer is not None, "the calm")
            await asyncio.sleep(0.02 + moment * 0.005)


async def test_a_stop_ends_the_spares_at_once(tmp_path):
    """They do not wait for children that take their time."""
    release = tmp_path / "release"
    async with tree(child(shutdown=30.0)) as root:
        (spare,) = await ready(root)
        await root["a"].tell(Block(str(release)))
        await until(lambda: root.snapshot().children[0].handling == "Block", "the long message")
        root.request_stop()
        await until(lambda: not alive(spare), "the end of the spare")
        assert 0 == root.snapshot().spares
        release.touch()
        await root.wait()


async def test_trees_have_their_own():
    """The spare of one tree is not used by another, and ends with its own."""
    async with tree(child(), name="one") as one:
        async with tree(child(), name="two") as two:
            assert set() == set(await ready(one)) & set(await ready(two))
        (spare,) = pids(one)
        assert alive(spare)
        os.kill((await who(one)).pid, signal.SIGKILL)
        assert spare == (await who(one)).pid
