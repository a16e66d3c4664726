"""Each verb of actorctl, against a real daemon whose actors die, hang and do not start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.control import socket_path
from supervisor.ctl.app import actorctl
from supervisor.ctl.client import connect
from supervisor.ctl.daemons import daemons
from tests.support.control import ALONE, CTL, daemon, short_folder
from tests.support.waiting import DEADLINE, ROOT, until_now

pytestmark = pytest.mark.processes


def see_only(folder, monkeypatch):
    """Daemons elsewhere are out of sight."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(socket_path, "folders", lambda: [folder / "actors"])


@pytest.fixture
def ctl(running, monkeypatch):
    """Runs a verb; returns what it prints."""
    folder, _ = running
    see_only(folder, monkeypatch)
    monkeypatch.setenv("ACTORCTL_DAEMON", str(next(iter((folder / "actors").iterdir()))))
    return verb


def verb(*words, code=0, **options):
    done = CliRunner().invoke(actorctl, words, **options)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert code == done.exit_code, done.output
    return done.output.rstrip("\n")


def shown(ctl, *words, **options):
    return [json.loads(line) for line in ctl(*words, "--json", **options).splitlines()]


def child(ctl, path):
    def below(node):
        yield node
        for inner in node.get("children", ()):
            yield from below(inner)

    (tree,) = shown(ctl, "tree")
    return next(node for node in below(tree["root"]) if node["path"] == path)


def verdict(ctl, name):
    return shown(ctl, "why", name)[0]["verdict"]


# ---- look


def test_ps(ctl, running):
    _, pid = running
    assert f"{pid}  /root" in ctl("ps")
    (only,) = shown(ctl, "ps")
    assert (pid, "/root", 11) == tuple(only["identity"][name] for name in ("pid", "tree", "children"))


def test_tree(ctl):
    lines = ctl("tree").splitlines()
    assert lines[0].split() == ["NAME", "STATE", "LIFE", "UP", "QUEUE", "DOING"]
    assert any(line.startswith("├─ worker ") for line in lines)
    assert any(line.startswith("│  └─ once ") for line in lines)


def test_names(ctl):
    """A path, an end of it, what is near, and what is ambiguous."""
    assert "/root/sub/inner is well" in ctl("why", "inner").replace("\n", " ")
    assert "/root/pool/1" in ctl("why", "pool/1")
    assert "several children are named 'once': /root/sub/once, /root/once" not in ctl("why", "/root/once")
    assert "did you mean /root/worker?" in ctl("why", "worke", code=4)
    assert "no child is named '/root/nothing'" in ctl("why", "/root/nothing", code=4)


def test_a_short_name_under_the_root_wins(ctl):
    assert ctl("why", "once").startswith("/root/once ")


def test_why_of_a_killed_actor(ctl):
    """It names the signal, the rule, and the life that followed."""
    node = child(ctl, "/root/worker")
    os.kill(node["pid"], signal.SIGKILL)
    until_now(lambda: child(ctl, "/root/worker")["life"] > node["life"] and verdict(ctl, "worker") == "restarted")
    text = " ".join(ctl("why", "worker").split())
    assert "SIGKILL from outside" in text
    assert "permanent children are restarted" in text
    assert "ended: killed: SIGKILL" in ctl("why", "worker", "--report")


def test_why_of_a_bad_configuration(ctl, running):
    """A stranger reads what is missing; when it is there, the actor is well again."""
    folder, _ = running
    config = folder / "config.toml"
    config.unlink()
    os.kill(child(ctl, "/root/configured")["pid"], signal.SIGKILL)
    until_now(lambda: verdict(ctl, "configured") == "crash_loop")
    text = " ".join(ctl("why", "configured").split())
    assert "ConfigError: no config.toml (in Configured.on_start)" in text
    assert "what it needs to start is wrong" in text
    assert "/root/configured" in ctl("why")
    config.touch()
    until_now(lambda: child(ctl, "/root/configured")["state"] == "running")


@pytest.mark.parametrize("message", ['Sleep {"seconds": 3600}', 'SleepInC {"milliseconds": 3600000, "locked": true}'])
def test_a_hung_actor(ctl, message):
    """Stacks show where it is, in Python and in C; restart ends it and keeps what waits."""
    name, _, body = message.partition(" ")
    ctl("tell", "stuck", name, body)
    until_now(lambda: child(ctl, "/root/stuck")["handling"] == name)
    life = child(ctl, "/root/stuck")["life"]
    stacks = ctl("stacks", "stuck")
    assert "support/operated.py" in stacks
    assert "child/" not in stacks.partition("operated.py")[2].partition("Thread")[0]
    assert ("in sleep_in_c" if name == "SleepInC" else "in sleep") in stacks
    ctl("tell", "stuck", "Add", '{"amount": 5}')
    said = ctl("restart", "stuck")
    assert said.startswith(
        f"/root/stuck has a new process; what waited has stayed; {name} had not ended within shutdown="
    )
    assert life < child(ctl, "/root/stuck")["life"]
    assert "5" == ctl("ask", "stuck", "Add", '{"amount": 0}')


@pytest.mark.parametrize("locked", [False, True], ids=["without the interpreter", "with it"])
def test_stacks_disturb_no_system_call(ctl, running, locked):
    """Asked for all the time, no call in C is cut short: it returns when its time is over, and errno is 0."""
    folder, _ = running
    body = json.dumps({"milliseconds": 2500, "locked": locked})
    asked = subprocess.Popen(
        [*CTL, "ask", "inner", "SleepInC", body, "-t", "60"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with connect(next(iter(folder.joinpath("actors").iterdir()))) as client:
        until_now(lambda: child(ctl, "/root/sub/inner")["handling"] == "SleepInC")
        taken = 0
        while asked.poll() is None:
            taken += "sleep_in_c" in client.stacks("inner")[0].stacks
            time.sleep(0.01)
    assert b"[0,0]\n" == asked.communicate()[0]
    assert taken


def test_stacks_of_what_is_no_actor(ctl):
    assert "in compute" in ctl("stacks", "compute")
    assert "in tick" in ctl("stacks", "tick")
    assert "is a program" in ctl("stacks", "command", code=1)
    assert "is a supervisor" in ctl("stacks", "sub", code=1)
    assert 2 == len(shown(ctl, "stacks", "pool"))


def test_events(ctl):
    assert any(re.search(r"/root/\S+ life \d+ is ready", line) for line in ctl("events").splitlines())
    assert 2 == len(shown(ctl, "events", "-n", "2"))
    assert "" == ctl("events", "-n", "0")


def test_events_follow_until_the_end():
    """Those that come are printed as they come; the end of the tree is the end."""
    with short_folder() as folder:
        with daemon(folder, ALONE) as process:
            following = subprocess.Popen(
                [*CTL, "events", "-f", "-n", "1", "--json", "-d", next(iter((folder / "actors").iterdir()))],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            assert following.stdout.readline()
            process.terminate()
            out, _ = following.communicate(timeout=DEADLINE)
        last = json.loads(out.splitlines()[-1])
        assert ("SupervisorStopped", "/root") == (last["event"]["type"], last["event"]["supervisor"])
        assert 0 == following.returncode


def test_metrics(ctl):
    """What the daemon's collector counts."""
    lines = ctl("metrics").splitlines()
    assert any(line.startswith('actor_up{actor="/root/worker",kind="actor"} ') for line in lines)


# ---- act


def test_tell_and_ask(ctl):
    assert "/root/sub/inner has it" == ctl("tell", "inner", "Add", '{"amount": 2}')
    assert "2" == ctl("ask", "inner", "Add", '{"amount": 0}')
    assert {"x": 4, "y": 7} == json.loads(ctl("ask", "inner", "Move", '{"by": {"x": 3, "y": 7}}'))
    assert "2" == ctl("ask", "inner", "Add", "-", input='{"amount": 0}')


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("Add", '{"amount": "x"}'), 1, "Expected `int`, got `str` - at `$.amount`; it is Add(amount: int, note: str"),
        (("Add", "{}"), 1, "missing required field `amount`"),
        (("Add", '{"amount": 1, "amont": 2}'), 1, "unknown field `amont`"),
        (("Add", "[1]"), 1, "Expected `object`, got `array`"),
        (("Add", "{"), 1, "this is not an Add"),
        (
            ("Nothing",),
            1,
            "does not handle 'Nothing'; it handles Abort() -> None, Add(amount: int, note: str = 'none')",
        ),
        (
            ("Move", '{"by": {"x": "one"}}'),
            1,
            "it is Move(by: Point, tags: tuple[str, ...] = ()) -> Point, where Point is",
        ),
        (("Refuse",), 1, "not today"),
        (("Raise",), 1, "ValueError: a bug"),
        (("Sleep", '{"seconds": 1}', "-t", "0.05"), 5, "no reply"),
    ],
)
def test_what_an_actor_does_not_do(ctl, words, code, text):
    assert text in ctl("ask", "inner", *words, code=code).replace("did not answer", "no reply")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("ask", "inner", "Add", "-t", "nan"), "timeout of ask must be seconds from 0 to 1e+09; it is nan"),
        (("resize", "pool", "9" * 30), "takes no such Resize"),
        (("events", "-n", "9" * 30), "takes no such ShowEvents"),
        (("why", "a" * 2000), "takes no such Explain"),
        (("tell", "inner", "Add", "-"), "this Tell has 400,0"),
    ],
)
def test_what_cannot_be_sent(ctl, words, text):
    """Numbers that are none or too large, names and messages that are too long: one line, and nothing is sent."""
    assert text in ctl(*words, code=2, input="x" * 400_000)


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("PYTHONIOENCODING=latin-1 actorctl tree", 0, "\\u251c\\u2500 worker "),
        ("actorctl tree > /dev/full", 1, "actorctl: [Errno 28] No space left on device"),
        ("{ actorctl tree; echo code $? >&2; } | true", 0, "code 0"),
        ("actorctl tree >&-", 0, ""),
        ("actorctl tell inner Add - <&-", 1, "actorctl: this is not an Add: "),
        ("printf '\\377{' | actorctl tell inner Add -", 2, "is not a text"),
        ("actorctl top <&-", 2, "top needs a terminal"),
        ("actorctl why nope <&- >&- 2>&-", 4, ""),
    ],
    ids=[
        "an encoding without lines",
        "a full disk",
        "a reader that is gone",
        "closed",
        "no input",
        "no text",
        "no input for top",
        "nothing",
    ],
)
def test_streams_that_are_closed_or_take_not_everything(running, command, code, text):
    folder, _ = running
    socket = str(next((folder / "actors").iterdir()))
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "ACTORCTL_DAEMON": socket, "PYTHONUNBUFFERED": ""}
    words = ["sh", "-c", command.replace("actorctl", " ".join(CTL))]
    done = subprocess.run(words, check=False, env=variables, capture_output=True, text=True, timeout=DEADLINE)
    assert (code, True, False) == (done.returncode, text in done.stdout + done.stderr, "Traceback" in done.stderr)


def test_control_characters_of_an_actor_stay_text(ctl):
    """The exception of a handler moves no cursor and colours no screen."""
    assert "ValueError: \\x1b[2J" in ctl("ask", "inner", "Raise", '{"text": "\\u001b[2J"}', code=1)


def test_messages_go_to_actors_alone(ctl):
    assert "takes no messages" in ctl("tell", "tick", "Add", code=1)
    assert "send to the pool" in ctl("tell", "pool/0", "Add", code=1)


def test_stop_and_start(ctl):
    assert "/root/once is down until it is started; what waited for it is in its dead letters" == ctl("stop", "once")
    assert "down" == verdict(ctl, "once")
    told = ctl("tell", "once", "Add", '{"amount": 1}', code=1)
    assert "is down until it is started, by restart_child or actorctl start (terminate_child was called, or" in told
    assert "/root/once is ready" == ctl("start", "once")
    assert "is running; a new process: actorctl restart /root/once" in ctl("start", "once", code=1)
    assert "ends with its daemon" in ctl("stop", "/root", code=1)
    assert "/root/tick is down until it is started" == ctl("stop", "tick")
    assert "/root/tick is ready" == ctl("start", "tick")


def test_restart_of_each_kind(ctl):
    before = {path: child(ctl, path)["life"] for path in ("/root/tick", "/root/compute", "/root/pool/1", "/root/sub")}
    for name in ("tick", "compute", "sub"):
        ctl("restart", name)
    assert "/root/pool has new processes; what waited has stayed" == ctl("restart", "pool")
    for path, life in before.items():
        assert life < child(ctl, path)["life"]


def test_resize(ctl):
    assert "/root/pool has 3 processes" == ctl("resize", "pool", "3")
    assert "running" == child(ctl, "/root/pool/2")["state"]
    ctl("resize", "pool", "2")
    assert "no child is named 'pool/2'" in ctl("why", "pool/2", code=4)
    assert "/root/compute is neither an actor nor a pool, and has no size" in ctl("resize", "compute", "2", code=1)


@pytest.mark.parametrize("name", ["compute", "command"])
def test_a_process_without_a_mailbox_that_is_stopped_by_a_signal(ctl, name):
    """It is not an actor, and is said to be suspended all the same."""
    node = child(ctl, f"/root/{name}")
    os.kill(node["pid"], signal.SIGSTOP)
    try:
        until_now(lambda: verdict(ctl, name) == "suspended")
        assert f"kill -CONT {node['pid']}" in ctl("why", name)
        assert "suspended" in next(line for line in ctl("tree").splitlines() if f" {name} " in line)
    finally:
        os.kill(node["pid"], signal.SIGCONT)
    until_now(lambda: verdict(ctl, name) == "healthy")


def test_dead_letters(ctl):
    """Listed, shown, sent again, dropped."""

    def aborted():
        return [one for one in shown(ctl, "dead", "list", "stuck") if one["message_type"] == "Abort"]

    ctl("tell", "stuck", "Abort")
    until_now(aborted)
    (letter,) = aborted()
    assert ("crashed_while_handling", 1) == (letter["reason"], letter["deliveries"])
    assert "Abort" in ctl("dead")
    assert ctl("dead", "show", letter["id"]).splitlines()[1].endswith("; begun 1 time")
    assert letter["id"] in [one["id"] for one in shown(ctl, "dead")]
    assert [letter["id"]] == [
        json.loads(line)["id"] for line in ctl("dead", "--json", "show", letter["id"]).splitlines()
    ]
    assert "{}" == shown(ctl, "dead", "show", letter["id"])[0]["body"]
    for verb_ in ("requeue", "drop"):  # all or none
        assert "no dead letter '999999'" in ctl("dead", verb_, letter["id"], "999999", code=4)
    assert [letter] == aborted()
    assert "1 message sent again" == ctl("dead", "requeue", letter["id"], letter["id"])
    until_now(aborted)
    (again,) = aborted()
    assert letter["id"] != again["id"]
    assert "1 letter dropped" == ctl("dead", "drop", again["id"])
    assert "there is no dead letter" in ctl("dead", "show", again["id"], code=4)


def test_top_needs_a_terminal(ctl):
    assert "top needs a terminal, and this is none; `actorctl ps`" in ctl("top", code=2)


# ---- which daemon, and whose


def test_several_daemons_are_told_apart(running, monkeypatch):
    """Without a choice it lists them; by pid it takes one."""
    folder, pid = running
    see_only(folder, monkeypatch)
    with daemon(folder, ALONE) as second:
        text = verb("tree", code=3)
        assert f"{pid} (/root)" in text
        assert f"{second.pid} (/root)" in text
        assert "-d PID" in text
        assert verb("tree", "-d", str(second.pid)).startswith("NAME")
        second.kill()
        second.wait()
        assert [pid] == [one.identity.pid for one in daemons()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_gets_nothing(running):
    """Neither the directory nor the socket opens; and let into the directory, it is refused by its uid."""
    folder, _ = running
    socket_path = next(iter((folder / "actors").iterdir()))
    script = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try:\n"
        "    s.connect(sys.argv[1])\n"
        "    s.sendall(b'\\0\\0\\0\\x0e\\x81\\xa4type\\xa8Identify')\n"
        "    print('got', s.recv(100))\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )

    def tried():
        done = subprocess.run([sys.executable, "-c", script, socket_path], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert "PermissionError" == tried()
    modes = {path: path.stat().st_mode for path in (folder, folder / "actors", socket_path)}
    try:
        for path in modes:
            path.chmod(0o777)
        assert tried() in ("got b''", "ConnectionResetError", "BrokenPipeError")
    finally:
        for path, mode in modes.items():
            path.chmod(mode & 0o7777)


def test_without_click_one_line_names_the_extra(tmp_path):
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(\"No module named 'click'\", name='click')")
    done = subprocess.run(
        [*CTL, "ps"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (2, "actorctl needs click: pip install 'actor-supervisor[cli]'\n") == (done.returncode, done.stderr)


def test_help_fits_a_terminal():
    for command in ("", *actorctl.commands):
        text = verb(*([command] if command else []), "--help")
        assert max(map(len, text.splitlines())) <= 100
    assert Path(ROOT, "docs/reference/actorctl.md").exists()
