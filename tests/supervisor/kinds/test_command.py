"""Commands as children: programs under the rules of a tree, with readiness, a stop signal and their output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from actors.exits import ExitKind
from supervisor import (
    Cause,
    ChildExited,
    ChildState,
    CommandSpec,
    FunctionSpec,
    InvalidSpec,
    Ready,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.testing import ScriptedSupervisor
from tests.support.waiting import DEADLINE, Script, Watch, alive, until, until_now

pytestmark = pytest.mark.processes

NOTIFY = """
import os, signal, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"STATUS=warm\\nREADY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
signal.pause()
"""
LISTEN = """
import signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
signal.pause()
"""
LOOK = """
import os
print("descriptors", sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1])
print("input", os.readlink("/proc/self/fd/0"))
print("session", os.getsid(0) == os.getpid())
"""


def shell(script, **options):
    return CommandSpec(("sh", "-c", script), **options)


def python(code, *args, **options):
    return CommandSpec((sys.executable, "-c", code, *args), **options)


def texts(logs, name):
    return [line["text"] for line in logs if line.get("actor") == f"/root/{name}" and "text" in line]


async def passes():
    """Ready after two failures."""
    passes.left -= 1
    if passes.left:
        raise LookupError("not yet")
    return True


async def times_out():
    raise TimeoutError


async def fails():
    raise LookupError("never")


async def test_every_way_of_being_ready(tmp_path):
    """The tree runs when all of them are ready, each in its own way; a stop ends them by their signals."""
    passes.left = 3
    root = Supervisor(
        shell("echo warming up; echo Ready to accept; exec sleep 1000", name="line", ready=Ready.line(r"Ready to \w+")),
        shell("seq 30000; echo up; exec sleep 1000", name="flood", ready=Ready.line("^up$")),
        CommandSpec(
            (sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"),
            name="port",
            ready=Ready.port("127.0.0.1", "{port}"),
        ),
        python(LISTEN, "its.socket", name="socket", cwd=str(tmp_path), ready=Ready.socket("its.socket")),
        python(NOTIFY, name="notify", ready=Ready.notify()),
        CommandSpec(["sleep", "1000"], name="check", ready=Ready.check(passes), stop_signal="SIGINT"),
        CommandSpec(("sleep", "1000"), name="after", ready=Ready.after(0.01)),
        CommandSpec(("sleep", "1000")),
        start="parallel",
        spares=0,
    )
    watch = Watch(root)
    async with root:
        rows = root.which_children()
        assert {("command", ChildState.RUNNING)} == {(row.kind, row.state) for row in rows}
        assert all(alive(row.pid) for row in rows)
        shown = {child.name: child for child in root.snapshot().children}
        assert f"port (command) running, life 1, pid {shown['port'].pid}" in str(root)
        assert f"port {shown['port'].port}" in str(root)
        socket.create_connection(("127.0.0.1", shown["port"].port)).close()
        assert shown["sleep"].port is None
        assert 0 == passes.left
        os.kill(shown["port"].pid, signal.SIGKILL)
        assert 1 == (await watch.started("port")).life
        assert 2 == (await watch.started("port")).life
        assert shown["port"].port == {child.name: child.port for child in root.snapshot().children}["port"]
    reasons = {}
    with contextlib.suppress(StopAsyncIteration):
        while True:
            happening = await anext(watch._stream)
            if isinstance(happening, ChildExited):
                reasons[happening.report.actor] = str(happening.report.reason)
    assert "shutdown: asked by the supervisor, ended by SIGINT" == reasons.pop("/root/check")
    assert {"shutdown: asked by the supervisor, ended by SIGTERM"} == set(reasons.values())


async def test_the_next_child_starts_when_the_line_is_written(tmp_path):
    gate = tmp_path / "gate"
    waits = shell(f"while [ ! -e {gate} ]; do sleep 0.01; done; echo go; exec sleep 1000", ready=Ready.line("^go$"))
    root = Supervisor(waits, CommandSpec(("sleep", "1000"), name="next"), spares=0)
    entering = asyncio.ensure_future(root.__aenter__())
    await until(lambda: root._engine is not None and root.which_children()[0].pid is not None)
    assert ChildState.STARTING is root.which_children()[0].state
    assert root.which_children()[1].pid is None
    gate.touch()
    async with asyncio.timeout(DEADLINE):
        await entering
    await root.__aexit__(None, None, None)


async def test_ends_in_words_output_and_options(tmp_path, logs):
    """Exit codes and signals have words; each line arrives under the command's name, its children's too."""
    script = "echo to out; echo to err >&2; sh -c 'echo of a child'; printf unfinished; exit 78"
    options = "pwd; nice; ulimit -n; echo $GREETING $PYTHONPATH; grep Cpus_allowed_list /proc/self/status | cut -f2"
    root = Supervisor(SupervisorSpec(name="none"), spares=0, start="parallel")
    watch = Watch(root)
    async with root:
        ends = {
            "codes": shell(script),
            "normal": shell("exit 0"),
            "faults": shell("kill -SEGV $$"),
            "looks": python(LOOK),
            "signals": shell("grep -E 'SigBlk|SigIgn' /proc/self/status | cut -f2"),
            "options": shell(
                options,
                cwd=str(tmp_path),
                env={"GREETING": "hello", "PYTHONPATH": "/nowhere"},
                nice=1,
                rlimits={"NOFILE": 123},
                cpu_affinity=(0,),
            ),
        }
        reports = {}
        for name, spec in ends.items():
            await root.start_child(CommandSpec(**{**fields(spec), "name": name, "restart": "temporary"}))
            reports[name] = await watch.exited(name)
        assert "crashed: exit code 78 (EX_CONFIG, wrong configuration)" == str(reports["codes"].reason)
        assert ("to out", "to err", "of a child", "unfinished") == reports["codes"].stderr
        assert ["to out", "to err", "of a child", "unfinished"] == texts(logs, "codes")
        assert "normal: exit code 0" == str(reports["normal"].reason)
        assert "killed: SIGSEGV, segmentation fault" == str(reports["faults"].reason)
        assert [
            "descriptors [0, 1, 2]",
            "input /dev/null",
            "session True",
        ] == texts(logs, "looks")
        blocked, ignored = [int(mask, 16) for mask in texts(logs, "signals")]
        assert 0 == blocked
        threads = 0b11 << 31  # signals 32 and 33 are the C library's own, and cannot be set
        assert ignored & ~threads in {0, 1 << signal.SIGHUP - 1}  # under nohup
        nice = str(os.getpriority(os.PRIO_PROCESS, 0) + 1)
        assert [str(tmp_path), nice, "123", "hello /nowhere", "0"] == texts(logs, "options")


def fields(spec):
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


async def test_a_program_that_ignores_its_stop_signal_is_killed_with_what_it_has_started(tmp_path):
    """Whatever session its children are in, nothing is left, after a stop as after a kill from outside."""
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 1000 & echo $! >> {pids}; setsid sleep 1000 & echo $! >> {pids}; echo up; wait"
    root = Supervisor(shell(script, name="stubborn", shutdown=0.05, ready=Ready.line("up")), spares=0)
    watch = Watch(root)
    async with root:
        first = root.which_children()[0].pid
        os.kill(first, signal.SIGKILL)
        assert "killed: SIGKILL from outside" in str((await watch.exited("stubborn")).reason)
        await watch.started("stubborn")
    report = await watch.exited("stubborn")
    assert ExitKind.KILLED is report.reason.kind
    assert "it was still there" in report.reason.detail
    started = [int(line) for line in pids.read_text().split()]
    assert 4 == len(started)
    assert not any(map(alive, [first, report.pid, *started]))


async def test_starts_that_fail(tmp_path):
    """Each says why: it ends before it is ready, is late, cannot be executed, or its port is taken."""
    garbage = tmp_path / "garbage"
    garbage.write_text("no program")
    garbage.chmod(0o755)
    async with Supervisor(SupervisorSpec(name="none"), spares=0) as root:
        with pytest.raises(StartFailed, match="unstarted: exit code 3") as failure:
            await root.start_child(shell("echo wrong configuration; exit 3", ready=Ready.after(20)))
        assert ("wrong configuration",) == failure.value.report.stderr
        with pytest.raises(StartFailed, match="Exec format error"):
            await root.start_child(CommandSpec((str(garbage),)))
        garbage.write_text("#!/no/such/interpreter")
        with pytest.raises(StartFailed, match="whose first line names an interpreter that is missing"):
            await root.start_child(CommandSpec((str(garbage),)))
        late = CommandSpec(("sleep", "1000"), ready=Ready.check(fails), start_timeout=3.0)
        with pytest.raises(StartFailed, match="not ready within 3 s") as failure:
            await root.start_child(late)
        expected = "not ready within 3 s; fails() did not return something true: LookupError: never"
        assert expected in str(failure.value)
        assert expected == failure.value.report.reason.detail
        late = CommandSpec(("sleep", "1000"), ready=Ready.check(times_out), start_timeout=3.0)
        with pytest.raises(
            StartFailed, match="(?m)times_out.. did not return something true: TimeoutError$"
        ) as failure:
            await root.start_child(late)
        prompt = shell("printf 'ready> '; sleep 1000", ready=Ready.line("ready"), start_timeout=3.0)
        with pytest.raises(StartFailed) as failure:
            await root.start_child(prompt)
        expected = (
            "not ready within 3 s; no line with 'ready' was written in time, with its newline; there is 'ready> '"
        )
        assert expected == failure.value.report.reason.detail
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            with pytest.raises(StartFailed, match=f"port {number} of 127.0.0.1 is taken by another program"):
                await root.start_child(CommandSpec(("sleep", "1000"), ready=Ready.port("127.0.0.1", number)))
        assert 1 == root.count_children().specs


FORKS = """
import os, signal, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.fork()
signal.pause()
"""


async def test_a_port_that_another_program_takes_between_two_lives():
    """`{port}` is another one then; a fixed one is a failed start. A dead life's own children lose it nothing."""
    root = Supervisor(
        python(FORKS, "{port}", name="forks", ready=Ready.port("127.0.0.1", "{port}")),
        CommandSpec(("sleep", "1000"), name="told", env={"PORT": "{port}"}),
        spares=0,
    )
    watch = Watch(root)
    async with root:
        forks, told = root.snapshot().children
        os.kill(forks.pid, signal.SIGKILL)
        assert 1 == (await watch.started("forks")).life
        assert 2 == (await watch.started("forks")).life
        assert forks.port == root.snapshot().children[0].port
        for child in (forks, told):
            await root.terminate_child(child.name)
            await until(lambda port=child.port: _takes(port))
            with socket.create_server(("127.0.0.1", child.port)):
                await root.restart_child(child.name)
                again = next(other for other in root.snapshot().children if other.name == child.name)
                assert again.port not in (None, child.port)
        fixed = python(FORKS, str(forks.port), name="fixed", ready=Ready.port("127.0.0.1", forks.port))
        await root.start_child(fixed)
        await root.terminate_child("fixed")
        await until(lambda: _takes(forks.port))
        with socket.create_server(("127.0.0.1", forks.port)):
            with pytest.raises(StartFailed, match=f"port {forks.port} of 127.0.0.1 is taken by another program"):
                await root.restart_child("fixed")


def _takes(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def needs(url: str):
    return url


async def never():
    await asyncio.Event().wait()


def idle():
    signal.pause()


async def test_all_kinds_in_one_tree():
    """A task, a function and a command stand beside each other, and restart with each other."""
    root = Supervisor(
        CommandSpec(("sleep", "1000"), name="command"),
        FunctionSpec(idle, name="function"),
        TaskSpec(never, name="task"),
        strategy="rest_for_one",
        spares=0,
    )
    watch = Watch(root)
    async with root:
        os.kill(root.which_children()[0].pid, signal.SIGKILL)
        for name in ("command", "task", "function"):
            report = await watch.exited(name)
            assert (ExitKind.KILLED if name == "command" else ExitKind.SHUTDOWN) is report.reason.kind
        for name in ("command", "function", "task"):
            assert 2 == (await watch.started(name)).life
        assert ["command", "function", "task"] == [row.kind for row in root.which_children()]


@pytest.mark.parametrize(
    ("make", "path", "why"),
    [
        (lambda _: CommandSpec(("no-such-program",)), "argv[0]", "there is no such program on PATH"),
        (lambda _: CommandSpec(("./no-such-program",)), "argv[0]", "there is no such program"),
        (lambda place: CommandSpec((str(place),)), "argv[0]", "it is a directory"),
        (lambda place: CommandSpec((str(place / "text"),)), "argv[0]", "it is not executable; chmod +x"),
        (lambda place: CommandSpec(("text",), env={"PATH": str(place)}), "argv[0]", "it is not executable"),
        (lambda _: CommandSpec("sleep 10"), "argv", "expected a tuple of words, no shell reads it: ('sleep', '10')"),
        (lambda _: CommandSpec(()), "argv", "expected a tuple of str, the program first"),
        (lambda _: CommandSpec(("", "1")), "argv", "expected a tuple of str, the program first"),
        (
            lambda _: CommandSpec(("./my prog",)),
            "name",
            "'./my prog' gives it no name of letters, digits, '_', '-' and",
        ),
        (lambda _: CommandSpec(("sleep", "1"), cpu_affinity=(60_000, 65_535)), "cpu_affinity", "this machine has the"),
        (
            lambda _: CommandSpec(("sleep", "1"), restart={Cause.hang: "stop"}),
            "restart",
            "write Restart(RestartPolicy.",
        ),
        (lambda _: CommandSpec(("sleep", 10)), "argv", "expected a tuple of str"),
        (lambda _: CommandSpec(("sleep", "1"), cwd="/no/such/place"), "cwd", "there is no such directory"),
        (lambda _: CommandSpec(("sleep", "1"), cwd="x" * 5000), "cwd", "there is no such directory"),
        (lambda _: CommandSpec(("/" + "x" * 5000,), name="x"), "argv[0]", "there is no such program"),
        (lambda _: CommandSpec(("sleep", "1"), stop_signal="SIGNOPE"), "stop_signal", "expected the name of a signal"),
        (lambda _: CommandSpec(("sleep", "1"), stop_signal="SIGKILL"), "stop_signal", "write shutdown=BRUTAL_KILL"),
        (
            lambda _: CommandSpec(("sleep", "1"), stop_signal=["SIGTERM"]),
            "stop_signal",
            "expected the name of a signal",
        ),
        (lambda _: CommandSpec(("sleep", "\ud800")), "argv", "expected a tuple of str"),
        (lambda _: CommandSpec(("sleep", "1"), ready="up"), "ready", "expected Ready.line(...)"),
        (lambda _: CommandSpec(("sleep", "1"), ready=Ready()), "ready", "expected Ready.line(...)"),
        (lambda _: CommandSpec(("sleep", "1"), ready=Ready.socket("s" * 108)), "ready", "has at most 107 bytes"),
        (
            lambda _: CommandSpec(("sleep", "1"), ready=Ready.after(60)),
            "start_timeout",
            "it is ready after 60 s; expected a longer time",
        ),
        (
            lambda _: CommandSpec(("sleep", "1"), ready=Ready.line("up"), output="inherit"),
            "output",
            "Ready.line reads its output",
        ),
        (
            lambda _: CommandSpec(("sleep", "1"), ready=Ready.port("::1", "{port}")),
            "argv",
            "Ready.port awaits '{port}', which neither argv nor env tells it",
        ),
        (lambda _: CommandSpec(("sleep", "1"), nice=99), "nice", "expected a whole number"),
        (lambda _: CommandSpec(("sleep", "1"), env={"A=B": "c"}), "env", "expected names and values"),
    ],
)
def test_what_cannot_be_executed_is_refused_before_anything_starts(make, path, why, tmp_path):
    (tmp_path / "text").write_text("no program")
    with pytest.raises(InvalidSpec) as refusal:
        ScriptedSupervisor(make(tmp_path))
    assert f"$.children[0].{path}" == refusal.value.path
    assert why in refusal.value.why


def test_a_place_where_this_user_may_not_look(tmp_path, monkeypatch):
    """On PATH it is passed over, as `exec` does; named by the spec, the refusal says so."""
    look = Path.stat

    def stat(self, **options):
        if self.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied", str(self))
        return look(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    ScriptedSupervisor(CommandSpec(("sleep", "1"), env={"PATH": f"{tmp_path}:{'x' * 5000}:{os.environ['PATH']}"}))
    for spec in (CommandSpec((f"{tmp_path}/a",)), CommandSpec(("sleep", "1"), cwd=str(tmp_path / "b"))):
        with pytest.raises(InvalidSpec, match="this user may not enter the directory that holds this"):
            ScriptedSupervisor(spec)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Ready.line("("), "Ready.line"),
        (lambda: Ready.line(5), "Ready.line"),
        (lambda: Ready.port("", 80), "Ready.port"),
        (lambda: Ready.port("127.0.0.1", 0), "Ready.port"),
        (lambda: Ready.port("127.0.0.1", 70_000), "Ready.port"),
        (lambda: Ready.socket(""), "Ready.socket"),
        (lambda: Ready.after(-1), "Ready.after"),
        (lambda: Ready.check(print), "Ready.check"),
        (lambda: Ready.check(needs), "Ready.check"),
        (lambda: Ready.line(b"up"), "Ready.line"),
    ],
)
def test_readiness_that_cannot_come_is_refused_when_it_is_made(make, path):
    with pytest.raises(InvalidSpec) as refusal:
        make()
    assert path == refusal.value.path


def test_the_name_is_the_programs_and_no_repr_shows_the_environment():
    assert "sleep" == CommandSpec(("/usr/bin/sleep", "1")).name
    assert "secret" not in repr(CommandSpec(("sleep", "1"), env={"TOKEN": "secret"}))
    assert "SIGINT" == CommandSpec(("sleep", "1"), stop_signal=signal.SIGINT).stop_signal
    assert Path(sys.executable).name == CommandSpec((sys.executable,)).name


DAEMON = """
import asyncio, os, signal, sys, time
from supervisor import CommandSpec, FunctionSpec, Ready, Supervisor
from tests.support.descent import children_of

def forks():
    os.fork()
    while True:
        signal.pause()

def below(pid):
    return [one for child in children_of(pid) for one in (child, *below(child))]

async def main():
    script = "trap '' TERM; setsid sleep 1000 & sleep 1000 & echo up; wait"
    async with Supervisor(
        CommandSpec(("sh", "-c", script), ready=Ready.line("up")),
        CommandSpec(("sh", "-c", "echo inherited; exec sleep 1000"), name="loud", output="inherit"),
        FunctionSpec(forks),
        spares=0,
    ) as root:
        while len(below(os.getpid())) < 7:
            await asyncio.sleep(0.01)
        print("PIDS", *below(os.getpid()), flush=True)
        await root.serve()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_nothing_outlives_a_daemon_that_is_killed(tmp_path):
    """Functions, commands and all that they have started, whatever session; `inherit` writes where the daemon does."""
    with Script(tmp_path, DAEMON) as script:
        assert "" == script.line("inherited")
        pids = [int(pid) for pid in script.line("PIDS").split()]
        assert all(map(alive, pids))
        script.process.kill()
        script.process.wait()
        until_now(lambda: not any(map(alive, pids)), "the end of everything")
