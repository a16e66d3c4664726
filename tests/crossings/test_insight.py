"""Insight: tools that look inside of processes or change how they log and start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time

import pytest

from tests.support.crossings import DEADLINE, MAIN, environment, free_port, run, tool, write

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.mark.crossing("coverage")
@pytest.mark.parametrize("setting", ["patch = subprocess", "concurrency = multiprocessing"])
def test_coverage(tmp_path, setting):
    """The lines of handlers are measured in actors that end in peace."""
    peaceful = """
import asyncio, shop

async def main():
    async with shop.tree() as root:
        await root["sync"].ask(shop.Pid())
        await root["async"].ask(shop.Pid())

if __name__ == "__main__":
    asyncio.run(main())
"""
    write(tmp_path, main=peaceful)
    (tmp_path / ".coveragerc").write_text(f"[run]\nparallel = true\n{setting}\nsource = .\n")
    run(tmp_path, sys.executable, "-m", "coverage", "run", "main.py")
    run(tmp_path, sys.executable, "-m", "coverage", "combine", "-q")
    run(tmp_path, sys.executable, "-m", "coverage", "json", "-q")
    executed = json.loads((tmp_path / "coverage.json").read_text())["files"]["shop.py"]["executed_lines"]
    lines = (tmp_path / "shop.py").read_text().splitlines()
    assert 2 == sum(lines[number - 1].strip() == "return os.getpid()" for number in executed)


@pytest.mark.crossing("opentelemetry-instrumentation", "opentelemetry-distro")
def test_opentelemetry_instrument(tmp_path):
    """The launcher is in the actors, too."""
    write(tmp_path, main=MAIN)
    env = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    printed = run(tmp_path, tool("opentelemetry-instrument"), sys.executable, "main.py", **env)
    assert "SCENARIO WORKED" in printed


SENTRY = """
import asyncio
import sentry_sdk
from sentry_sdk.transport import Transport
import shop
from supervisor import ChildExited

sent = []

class Kept(Transport):
    def capture_envelope(self, envelope):
        sent.append(envelope)

async def main():
    sentry_sdk.init(dsn="https://key@localhost/1", transport=Kept, default_integrations=False)
    async with shop.tree() as root:
        async def forward():
            async for event in root.events():
                if isinstance(event, ChildExited) and event.report.reason.abnormal:
                    sentry_sdk.capture_message(str(event.report), level="error")
        forwarding = asyncio.create_task(forward())
        try:
            await root["sync"].ask(shop.Die())
        except Exception as error:
            print("CRASHED", type(error).__name__)
        while not sent:
            await asyncio.sleep(0.01)
        forwarding.cancel()
    print("FORWARDED", "SIGKILL" in str(sent[0].get_event()))

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.crossing("sentry-sdk")
def test_sentry(tmp_path):
    """A death is forwarded from the events of the tree."""
    write(tmp_path, main=SENTRY)
    assert "FORWARDED True" in run(tmp_path, sys.executable, "main.py")


LOGURU = """
import asyncio
from loguru import logger
from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor

class Log(Message[None]):
    pass

class Speaker(Actor):
    @handles
    def log(self, msg: Log) -> None:
        logger.info("from the actor")

async def main():
    async with Supervisor(ChildSpec(Speaker)) as root:
        await root["speaker"].ask(Log())

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.crossing("loguru")
def test_loguru(tmp_path):
    """Its lines arrive in the daemon's log."""
    write(tmp_path, main=LOGURU)
    assert "from the actor" in run(tmp_path, sys.executable, "main.py")


GEVENT = """
import gevent.monkey
gevent.monkey.patch_all()
import asyncio
import shop

if __name__ == "__main__":
    asyncio.run(shop.scenario())
"""


@pytest.mark.crossing("gevent")
def test_gevent_that_has_patched_everything(tmp_path):
    """Ends keep their causes."""
    write(tmp_path, main=GEVENT)
    assert "SCENARIO WORKED" in run(tmp_path, sys.executable, "main.py")


IN_GREENLETS = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import shop
from supervisor import ChildSpec, Supervisor

def one():
    with Supervisor.in_thread(ChildSpec(shop.Sync)) as root:
        calls = [gevent.spawn(root["sync"].call, shop.Pid()) for _ in range(10)]
        gevent.joinall(calls, raise_error=True)
        return {call.value for call in calls}

if __name__ == "__main__":
    trees = [gevent.spawn(one) for _ in range(2)]
    gevent.joinall(trees, raise_error=True)
    print("ACTORS", len(trees[0].value | trees[1].value))
"""


@pytest.mark.crossing("gevent")
def test_two_trees_and_calls_from_many_greenlets(tmp_path):
    """Each tree has a real thread."""
    write(tmp_path, main=IN_GREENLETS)
    assert "ACTORS 2" in run(tmp_path, sys.executable, "main.py")


@pytest.mark.crossing("gevent")
def test_gevent_that_has_not_patched_threads(tmp_path):
    """It is refused, with the remedy."""
    write(tmp_path, main=GEVENT.replace("patch_all()", "patch_all(thread=False)"))
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE,
        check=False,
    )  # fmt: skip
    assert 1 == done.returncode
    assert "gevent has patched" in done.stderr.splitlines()[-1]


@pytest.mark.crossing("eventlet")
def test_eventlet_that_has_patched_everything(tmp_path):
    """It is refused, with the remedy."""
    write(tmp_path, main="import eventlet\neventlet.monkey_patch()\n" + MAIN)
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE,
        check=False,
    )  # fmt: skip
    assert 1 == done.returncode
    assert "run the tree in a process without eventlet" in done.stderr.splitlines()[-1]


STANDS = 4.0  # seconds in a breakpoint: more than twice the limit of the handler
DEBUGGED = """
import asyncio
import debugpy
from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor

class Listen(Message[int]):
    port: int

class Work(Message[str]):
    pass

class Worker(Actor):
    @handles
    def listen(self, msg: Listen) -> int:
        debugpy.listen(("127.0.0.1", msg.port))
        return msg.port

    @handles
    def work(self, msg: Work) -> str:
        debugpy.wait_for_client()
        answer = "computed"  # the breakpoint
        return answer

async def main(port):
    async with Supervisor(ChildSpec(Worker, handler_timeout=1.5)) as root:
        root["worker"].extended = None
        await root["worker"].ask(Listen(port))
        print("LISTENING", flush=True)
        print("ANSWER", await root["worker"].ask(Work()), flush=True)

if __name__ == "__main__":
    import sys
    asyncio.run(main(int(sys.argv[1])))
"""


class Client:
    """As much of the Debug Adapter Protocol as stops at a line and continues."""

    def __init__(self, port):
        end = time.monotonic() + DEADLINE
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
        self._file = self._socket.makefile("rb")
        self._seq = 0

    def close(self):
        self._file.close()
        self._socket.close()

    def send(self, command, **arguments):
        self._seq += 1
        body = json.dumps({"seq": self._seq, "type": "request", "command": command, "arguments": arguments}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def wait_for(self, kind, name):
        while True:
            length = 0
            while line := self._file.readline().strip():
                length = int(line.partition(b":")[2])
            message = json.loads(self._file.read(length))
            if message["type"] == kind and name in (message.get("event"), message.get("command")):
                return message


@pytest.mark.crossing("debugpy")
def test_a_breakpoint_of_debugpy(tmp_path):
    """The handler stands there for longer than its limit, continues, and answers."""
    write(tmp_path, main=DEBUGGED.replace('        root["worker"].extended = None\n', ""))
    port = free_port()
    line = 1 + (tmp_path / "main.py").read_text().splitlines().index('        answer = "computed"  # the breakpoint')
    program = subprocess.Popen(
        [sys.executable, "main.py", str(port)], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "LISTENING\n" == program.stdout.readline()
        client = Client(port)
        client.send("initialize", adapterID="test")
        client.wait_for("response", "initialize")
        client.send("attach", justMyCode=False)
        client.wait_for("event", "initialized")
        client.send("setBreakpoints", source={"path": str(tmp_path / "main.py")}, breakpoints=[{"line": line}])
        client.wait_for("response", "setBreakpoints")
        client.send("configurationDone")
        stopped = client.wait_for("event", "stopped")
        time.sleep(STANDS)
        client.send("continue", threadId=stopped["body"]["threadId"])
        assert "ANSWER computed\n" == program.stdout.readline()
        client.close()
        assert 0 == program.wait(DEADLINE)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
