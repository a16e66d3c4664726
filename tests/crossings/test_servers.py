"""Servers: each worker has a tree of its own, which is gone with it, however it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from tests.support.crossings import ASGI, DEADLINE, SHOP, await_end, free_port, get, serving, write

pytestmark = [pytest.mark.processes, pytest.mark.timeout(200)]

GRACE = 25.0  # seconds: less than gunicorn gives a worker that does not end by itself
PYTHON = (sys.executable, "-m")
GUNICORN = (*PYTHON, "gunicorn", "app:app", "--workers", "2", "--bind", "127.0.0.1:{port}")
UVICORN_WORKER = (*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker")
UVICORN = (*PYTHON, "uvicorn", "app:app", "--port", "{port}")
HYPERCORN = (*PYTHON, "hypercorn", "app:app", "--bind", "127.0.0.1:{port}")
GRANIAN = (*PYTHON, "granian", "app:app", "--interface", "asgi", "--port", "{port}", "--respawn-failed-workers")


def server(tool, command, *more, name, needs=()):
    return pytest.param((*command, *more), id=name, marks=pytest.mark.crossing(tool, *needs))


@pytest.mark.parametrize(
    "command",
    [
        server("uvicorn", UVICORN, "--workers", "2", name="uvicorn --workers"),
        server("uvicorn", UVICORN, "--loop", "uvloop", "--workers", "2", name="uvicorn --loop uvloop"),
        server("gunicorn", UVICORN_WORKER, name="gunicorn, uvicorn-worker", needs=["uvicorn-worker"]),
        server("gunicorn", UVICORN_WORKER, "--preload", name="gunicorn --preload", needs=["uvicorn-worker"]),
    ],
)
def test_a_worker_that_is_killed(tmp_path, command):
    """Its actors end, another worker answers with actors of its own, and SIGTERM ends all."""
    port, log = free_port(), tmp_path / "server.log"
    write(tmp_path, app=ASGI)
    with serving(tmp_path, *(word.format(port=port) for word in command)) as running:
        worker, actor = json.loads(get(port, running, log))
        os.kill(worker, signal.SIGKILL)
        await_end(actor)
        other, another = json.loads(get(port, running, log))
    assert worker != other
    assert actor != another
    await_end(another)


@pytest.mark.parametrize(
    "command",
    [
        server("hypercorn", HYPERCORN, "--workers", "2", name="hypercorn --workers"),
        server("granian", GRANIAN, "--workers", "2", name="granian --workers"),
    ],
)
def test_a_server_that_is_stopped(tmp_path, command):
    """SIGTERM ends the worker and its actors."""
    port, log = free_port(), tmp_path / "server.log"
    write(tmp_path, app=ASGI)
    with serving(tmp_path, *(word.format(port=port) for word in command)) as running:
        _, actor = json.loads(get(port, running, log))
    await_end(actor)


@pytest.mark.crossing("uvicorn")
def test_a_reload(tmp_path):
    """The tree of the old code stops, the new code has another."""
    port, log = free_port(), tmp_path / "server.log"
    write(tmp_path, app=ASGI)
    with serving(tmp_path, *(word.format(port=port) for word in UVICORN), "--reload") as running:
        _, actor = json.loads(get(port, running, log))
        (tmp_path / "app.py").write_text(ASGI + "\n# edited\n")
        await_end(actor)
        assert actor != json.loads(get(port, running, log))[1]


@pytest.mark.crossing("gunicorn", "uvicorn-worker")
def test_a_worker_that_does_not_answer_the_arbiter(tmp_path):
    """WORKER TIMEOUT: gunicorn aborts it, and its actors end."""
    port, log = free_port(), tmp_path / "server.log"
    write(tmp_path, app=ASGI)
    command = (*UVICORN_WORKER, "--timeout", "5")
    with serving(tmp_path, *(word.format(port=port) for word in command)) as running:
        worker, actor = json.loads(get(port, running, log))
        os.kill(worker, signal.SIGSTOP)
        await_end(actor)
        get(port, running, log)


WSGI = """
import contextlib, json, os, shop
from supervisor import Supervisor
root = None
stack = contextlib.ExitStack()

def app(environ, start_response):
    global root
    if root is None:  # in the worker, not in the arbiter
        root = stack.enter_context(shop.tree_in_a_thread())
    start_response("200 OK", [("Connection", "close")])
    return [json.dumps([os.getpid(), root["sync"].call(shop.Pid())]).encode()]
"""

IN_A_THREAD = """
def tree_in_a_thread():
    return Supervisor.in_thread(ChildSpec(Sync), spares=0)
"""


@pytest.mark.parametrize(
    ("worker_class", "more"),
    [
        pytest.param("sync", ["--preload"], marks=pytest.mark.crossing("gunicorn")),
        pytest.param("gthread", ["--preload"], marks=pytest.mark.crossing("gunicorn")),
        pytest.param("gevent", [], marks=pytest.mark.crossing("gunicorn", "gevent"), id="gevent"),
        pytest.param("gevent", ["--preload"], marks=pytest.mark.crossing("gunicorn", "gevent"), id="gevent --preload"),
    ],
)
def test_a_program_without_an_event_loop(tmp_path, worker_class, more):
    """Its tree lives in a thread, which may be gevent's: it calls actors more than once, and hears SIGTERM."""
    port, log = free_port(), tmp_path / "server.log"
    write(tmp_path, app=WSGI, shop=SHOP + IN_A_THREAD)
    command = (*GUNICORN, "--workers", "1", "--worker-class", worker_class, *more)  # one that boots misses SIGTERM
    with serving(tmp_path, *(word.format(port=port) for word in command)) as running:
        worker, actor = json.loads(get(port, running, log))
        os.kill(worker, signal.SIGKILL)
        await_end(actor)
        get(port, running, log)
        _, another = json.loads(get(port, running, log))
        stopped = time.monotonic()
    assert time.monotonic() - stopped < GRACE, "a worker was killed: it has not heard SIGTERM"
    await_end(another)


INSIDE = """
import asyncio, contextlib, json, os, sys
import shop, uvicorn
from supervisor import ChildSpec, Supervisor, TaskSpec

root = None

async def app(scope, receive, send):
    body = json.dumps([os.getpid(), await root["sync"].ask(shop.Pid(), timeout=60)]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})

class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield

async def http():
    await root["sync"].ask(shop.Pid())  # a request may come before the start has ended
    server = Server(uvicorn.Config(app, port=int(sys.argv[1]), lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving

async def main():
    global root
    root = Supervisor(ChildSpec(shop.Sync), TaskSpec(http, name="http", shutdown=30.0))
    async with root:
        await root.serve()
    print("LEFT IN ORDER", flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.crossing("uvicorn")
def test_a_server_that_is_a_task_of_the_tree(tmp_path):
    """SIGTERM is the tree's: the server stops first, then the actors, and what stands behind `serve()` runs."""
    port, log = free_port(), tmp_path / "server.log"
    write(tmp_path, inside=INSIDE)
    with serving(tmp_path, sys.executable, "inside.py", str(port)) as running:
        _, actor = json.loads(get(port, running, log))
        running.send_signal(signal.SIGTERM)
        assert running.wait(DEADLINE) == 0, log.read_text()
    await_end(actor)
    assert "LEFT IN ORDER" in log.read_text()
