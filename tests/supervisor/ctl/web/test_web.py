"""`actorctl web` as a program: what it refuses, and what it says over HTTP, beside a real daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress

import pytest

from supervisor.ctl.client import connect
from tests.support.control import ALONE, CTL, daemon, environment, short_folder, web
from tests.support.waiting import DEADLINE, ROOT

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def path(running):
    folder, _ = running
    return next(iter((folder / "actors").iterdir()))


@pytest.fixture(scope="module")
def served(path):
    with web(path) as found:
        yield found


def parts(client, wanted):
    """Server-sent events of a connection until one is wanted."""
    data = b""
    with client:
        while chunk := client.recv(65536):
            data += chunk
            for one in data.replace(b"\r\n", b"\n").split(b"\n\n"):
                kind, _, text = one.rpartition(b"event: ")[2].partition(b"\ndata: ")
                with suppress(ValueError):
                    if wanted(kind.decode(), json.loads(text)):
                        return json.loads(text)
    raise AssertionError(data)


# ---- what is refused before anything is served


def refused(path, *words, code, folder="/nonexistent"):
    done = subprocess.run(
        [*CTL, "web", "-d", str(path), *words], env=environment(folder), capture_output=True, text=True, check=False
    )
    assert code == done.returncode, done
    assert not done.stdout
    return " ".join(done.stderr.split())


def test_a_port_in_use(path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"127.0.0.1:{port} is in use; take another port, or any free one: --port 0" in refused(
            path, "--port", port, code=1
        )


def test_no_daemon(tmp_path):
    assert "no daemon listens at" in refused(tmp_path / "none.sock", code=3)


def test_other_machines_need_a_name(path):
    text = refused(path, "--host", "0.0.0.0", code=2)
    assert "--host 0.0.0.0 lets other machines reach the page" in text
    assert "ssh -L" in text


def test_an_address_of_another_machine(path):
    assert "cannot listen at 192.0.2.1:" in refused(path, "--host", "192.0.2.1", "--name", "ops.example", code=1)


def test_without_the_extra_one_line_names_it(path, tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')")
    done = subprocess.run(
        [*CTL, "web", "-d", str(path)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 2 == done.returncode
    assert "pip install 'actor-supervisor[web]'" in done.stderr


# ---- who is let in


def test_the_page_has_the_token_and_takes_nothing_from_elsewhere(served):
    reply, text = served.ask(f"/?token={served.token}")
    assert 200 == reply.status
    assert f'content="{served.token}"' in text
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert ("no-store", "no-referrer", "nosniff") == tuple(
        reply.headers[name] for name in ("Cache-Control", "Referrer-Policy", "X-Content-Type-Options")
    )
    for file in ("/page.css", "/page.js", "/live.js"):
        reply, text = served.ask(file)
        assert 200 == reply.status
        assert "//" not in text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")


@pytest.mark.parametrize("asked", ["/", "/live", "/why", "/stacks?name=worker", "/letter?id=1", "/nothing"])
def test_without_the_token_there_is_nothing(served, asked):
    reply, text = served.ask(asked)
    assert 403 == reply.status
    assert "open the URL" in text


def test_names_and_pages_of_others(served):
    """DNS rebinding: another name in Host. Another page in the same browser: another Origin."""
    good = f"/why?token={served.token}"
    assert 200 == served.ask(good)[0].status
    assert 403 == served.ask(good, host="rebound.example")[0].status
    assert 403 == served.ask(good, origin="https://evil.example")[0].status
    assert 403 == served.ask(good, origin=f"http://127.0.0.1:{served.port + 1}")[0].status
    assert 200 == served.ask(good, origin=f"http://127.0.0.1:{served.port}")[0].status


def test_a_change_needs_the_token_in_a_header_and_post(served):
    assert 403 == served.do("restart", "worker")[0]
    assert (
        403 == served.ask(f"/do?token={served.token}", method="POST", body='{"verb":"stop","name":"worker"}')[0].status
    )
    assert 403 == served.do("restart", "worker", **served.bearer(), origin="null")[0]
    assert 405 == served.ask("/do", **served.bearer())[0].status


@pytest.mark.parametrize(("route", "query"), [("/why", "name"), ("/stacks", "name"), ("/letter", "id")])
def test_a_name_that_no_child_can_have(served, route, query):
    """It is the request's fault, and told as that."""
    status, found = served.get(route, **{query: "x" * 2000})
    assert 400 == status
    assert "the daemon takes no such" in found["error"]
    assert 400 == served.do("restart", "x" * 2000, **served.bearer())[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ('{"verb": "kill", "name": "a"}', 400),
        ('{"verb": "stop"}', 400),
        ("\xff", 400),
        ("x" * 20_000, 413),
    ],
)
def test_what_is_no_change(served, body, status):
    reply, _ = served.ask("/do", method="POST", body=body.encode("latin-1"), **served.bearer())
    assert status == reply.status


# ---- what it says


def test_why_and_stacks(served):
    assert "/root/sub/inner" in served.get("/why", name="inner")[1]["text"]
    assert "(pid " in served.get("/stacks", name="worker")[1]["text"]
    assert (404, True) == ((found := served.get("/why", name="nothing"))[0], "no child is named" in found[1]["error"])
    assert 404 == served.get("/letter", id="99999")[0]


def test_a_kill_is_seen(served, path):
    with connect(path) as client:
        pid = next(child.pid for child in client.tree().root.children if child.name == "worker")
    live = served.live()
    os.kill(pid, signal.SIGKILL)
    parts(live, lambda kind, found: kind == "events" and any("SIGKILL" in one["text"] for one in found))
    row = parts(
        served.live(),
        lambda kind, found: (
            kind == "tree" and any(r["path"] == "/root/worker" and r["last_exit"] for r in found["rows"])
        ),
    )
    assert row["at"] > 0


def test_changes(served):
    assert "down until it is started" in served.do("stop", "sub/once", **served.bearer())[1]
    assert "is ready" in served.do("start", "sub/once", **served.bearer())[1]
    assert "has a new process" in served.do("restart", "sub/once", **served.bearer())[1]
    status, text = served.do("start", "sub/once", **served.bearer())
    assert (409, True) == (status, "running" in text)


# ---- clients that are no pages


def test_garbage_and_half_requests_disturb_no_page(served):
    clients = []
    for data in (
        b"\0" * 1000,
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /do HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n{",
    ):
        client = socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE)
        client.sendall(data)
        clients.append(client)
    assert 200 == served.get("/why", name="inner")[0]
    for client in clients:
        client.close()


def test_pages_that_never_read(served):
    """Dozens of them; the others see each look."""
    deaf = [served.live() for _ in range(40)]
    first = parts(served.live(), lambda kind, found: kind == "tree")
    parts(served.live(), lambda kind, found: kind == "tree" and found["at"] > first["at"] + 1)
    for client in deaf:
        client.close()


# ---- the daemon's end


def test_over_a_restart_of_the_daemon():
    """It says that the daemon is gone, and shows the one with the same command line that follows."""
    with short_folder() as folder, ExitStack() as ending:
        with daemon(folder, ALONE) as first:
            served = ending.enter_context(web(next(iter((folder / "actors").iterdir()))))
            parts(served.live(), lambda kind, found: kind == "daemon" and found["pid"] == first.pid)
            first.kill()
            first.wait()
            parts(served.live(), lambda kind, found: kind == "daemon" and found["trouble"])
            assert 502 == served.get("/why")[0]
        with daemon(folder, ALONE) as second:
            parts(
                served.live(),
                lambda kind, found: kind == "daemon" and found["pid"] == second.pid and not found["trouble"],
            )
            assert 200 == served.get("/why")[0]
