"""A place for control sockets, raw clients, and a daemon to operate in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from supervisor.control import socket_path
from tests.support.waiting import DEADLINE, ROOT

CTL = (sys.executable, "-m", "supervisor.ctl")
ALONE = "tests.support.operated_alone"  # a daemon with one actor, which starts sooner
SHORT = "/tmp"  # the path of a Unix socket has at most 107 bytes; pytest's temporary folders are deeper


@contextmanager
def short_folder():
    """A folder of this user alone, with a short path."""
    folder = tempfile.mkdtemp(prefix="ctl-", dir=SHORT)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_runtime(monkeypatch):
    """A runtime directory of this test's own; daemons elsewhere are out of sight."""
    folders = socket_path.folders
    with short_folder() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        monkeypatch.setattr(socket_path, "folders", lambda: folders()[:1])
        yield folder


@contextmanager
def raw(path):
    """A bare connection that does not block."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        client.setblocking(False)
        yield client


@contextmanager
def daemon(folder, module="tests.support.operated"):
    """A daemon in a process of its own; its pid."""
    config = folder / "config.toml"
    config.touch()
    variables = {name: value for name, value in os.environ.items() if name != "ACTORS_TESTS"}  # its actors come and go
    variables |= {"XDG_RUNTIME_DIR": str(folder), "OPERATED_CONFIG": str(config), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    try:
        assert b"ready\n" == process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


def environment(folder):
    return {**os.environ, "XDG_RUNTIME_DIR": str(folder), "PYTHONPATH": str(ROOT), "ACTORCTL_DAEMON": ""}


@contextmanager
def web(socket_path, *words):
    """The page's process; its port and its token."""
    process = subprocess.Popen(
        [*CTL, "web", "-d", str(socket_path), "--port", "0", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(socket_path.parent.parent),
    )
    try:
        url = urlsplit(json.loads(process.stdout.readline())["url"])
        yield Served(url, process)
    finally:
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=DEADLINE)
    assert (b"", b"") == (out, errors), (out + errors).decode()


class Served:
    def __init__(self, url, process):
        self.url = url.geturl()
        self.port = url.port
        self.token = parse_qs(url.query)["token"][0]
        self.process = process

    def ask(self, path, *, method="GET", body=None, **headers):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        named = {name.capitalize(): value for name, value in headers.items()}
        client.request(method, path, body, {"Host": f"127.0.0.1:{self.port}"} | named)
        reply = client.getresponse()
        text = reply.read().decode()
        client.close()
        return reply, text

    def get(self, path, **query):
        reply, text = self.ask(path + "".join(f"?{name}={value}" for name, value in query.items()), **self.bearer())
        return reply.status, json.loads(text)

    def do(self, verb, name, **headers):
        reply, text = self.ask("/do", method="POST", body=json.dumps({"verb": verb, "name": name}), **headers)
        return reply.status, text

    def bearer(self):
        return {"authorization": f"Bearer {self.token}"}

    def live(self):
        """A connection that has asked for what is live."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        client.sendall(f"GET /live?token={self.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client
