"""Crossings: a program with two actors, and ways to run it beside other tools.

`shop.py` has the actors and `scenario`, which has them killed, and crash, and asks them again each time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 90.0  # seconds: some of these tools start slowly

SHOP = """
import asyncio
import logging
import os
import signal
import time

from actors import Actor, ActorCrashed, HandlerError, Message, handles
from supervisor import ChildSpec, Intensity, Supervisor


class Pid(Message[int]):
    pass


class Die(Message[None]):
    pass


class Fail(Message[None]):
    pass


class Say(Message[None]):
    text: str


class Sync(Actor):
    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    def die(self, msg: Die) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @handles
    def fail(self, msg: Fail) -> None:
        raise LookupError("no such thing")

    @handles
    def say(self, msg: Say) -> None:
        print(msg.text)


class Async(Actor):
    @handles
    async def pid(self, msg: Pid) -> int:
        await asyncio.sleep(0)
        return os.getpid()

    @handles
    async def die(self, msg: Die) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def tree():
    return Supervisor(
        ChildSpec(Sync, handler_timeout=30), ChildSpec(Async, handler_timeout=30), intensity=Intensity.unlimited()
    )


async def scenario():
    async with tree() as root:
        for name in ("sync", "async"):
            first = await root[name].ask(Pid(), timeout=60)
            os.kill(first, signal.SIGKILL)
            while first == await root[name].ask(Pid(), timeout=60):
                await asyncio.sleep(0.01)
            try:
                await root[name].ask(Die(), timeout=60)
            except ActorCrashed as crash:
                assert "SIGKILL" in str(crash), crash
            await root[name].ask(Pid(), timeout=60)
        try:
            await root["sync"].ask(Fail(), timeout=60)
        except HandlerError as error:
            assert "no such thing" in str(error)
    print("SCENARIO WORKED", flush=True)
"""

MAIN = """
import asyncio
import shop

if __name__ == "__main__":
    asyncio.run(shop.scenario())
"""

ASGI = """
import contextlib
import json
import shop


class App:
    root = None

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            async with shop.tree() as self.root:
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        import os
        body = json.dumps([os.getpid(), await self.root["sync"].ask(shop.Pid(), timeout=60)]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body})


app = App()
"""


def missing(*packages: str) -> list[str]:
    """Those that are not installed here."""
    return [name for name in packages if not version(name)]


def version(package: str) -> str:
    """The version that is installed here; empty without one."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def tool(name: str) -> str:
    """The program that a package has brought into this environment."""
    return str(Path(sys.executable).parent / name)


def environment(**more: str) -> dict[str, str]:
    """Our environment, with the project to be imported and output that is not held back."""
    path = os.pathsep.join(part for part in (str(ROOT), more.pop("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONUNBUFFERED": "1", **more, "PYTHONPATH": path}


def write(folder: Path, **files: str) -> None:
    """Write modules beside shop.py."""
    for name, text in {"shop": SHOP, **files}.items():
        (folder / f"{name}.py").write_text(text)


def run(folder: Path, *command: str, **env: str) -> str:
    """Run a command there; what it has printed, once it has ended with 0."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(folder: Path, *command: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server there; at the end it gets SIGTERM and has to end by itself."""
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield server
        server.send_signal(signal.SIGTERM)
        server.wait(DEADLINE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def get(port: int, server: subprocess.Popen[str], log: Path) -> str:
    """What the server answers, as soon as it does."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            assert time.monotonic() < end, log.read_text()
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)


def await_end(pid: int) -> None:
    """Wait until a process is gone, or a zombie that another process has to reap."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            if ") Z" in Path(f"/proc/{pid}/stat").read_text():
                return
        except OSError:
            return
        time.sleep(0.02)
    raise TimeoutError(f"process {pid} is still there")
