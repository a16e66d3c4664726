"""The driver's answers where a cluster cannot be joined, or a machine runs no agent; Ray is scripted."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import SimpleNamespace

import pytest

from actors.wire.codec import encode
from actors.wire.framing import Framer, header
from supervisor.cluster.driver import protocol as say
from supervisor.cluster.driver.client import RayDriver, last_words
from supervisor.cluster.driver.process import Driver
from supervisor.io.loop_reader import LoopReader
from tests.support.ports import free_port


class Ray:
    """As much of Ray as a driver needs to fail."""

    def __init__(self, *, init=None, start=None):
        self._init = init
        self._start = start
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None)
        self.util = SimpleNamespace(scheduling_strategies=strategies)

    def init(self, **options):
        self.joined = options
        if self._init is not None:
            raise self._init

    def remote(self, _):
        start = SimpleNamespace(remote=lambda *_: Failing(self._start))
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: SimpleNamespace(start=start)))


class Failing:
    """A call of a Ray actor that fails."""

    def __init__(self, error):
        self._error = error

    def future(self):
        return self

    def add_done_callback(self, call):
        call(self)

    def exception(self):
        return self._error


class RayTaskError(Exception):
    """As Ray's: it has the error of the other side, and its traceback as text."""

    def __init__(self, cause):
        super().__init__("ray::Host.start() (pid=7)\n  File ...\n" + repr(cause))
        self.cause = cause


def unconnected(why):
    """Ray's error where a head takes the connection and no call."""
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError(f"Failed to connect to GCS. Last connection error: Traceback ...\n{why}")
    return error


def answers(ray, *calls):
    """What a driver answers."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serving = threading.Thread(target=Driver(theirs, ray).serve)
        serving.start()
        framer, found = Framer(), []
        for call in calls:
            data = encode(call)
            ours.sendall(header(len(data)) + data)
            while len(found) < calls.index(call) + 1:
                found += [say.read_from_driver(frame) for frame in framer.feed(ours.recv(65536))]
        ours.shutdown(socket.SHUT_WR)
        serving.join()
    return found


def test_a_runtime_env_is_passed_on():
    """As it is; none where none was said."""
    env = {"working_dir": ".", "env_vars": {"A": "b"}, "pip": ["numpy"]}
    for given, wanted in ((env, env), ({}, None)):
        ray = Ray()
        assert [say.Joined(1)] == answers(ray, say.Join(1, "auto", given))
        assert ("auto", wanted) == (ray.joined["address"], ray.joined["runtime_env"])


RAY = """
from types import SimpleNamespace

def init(**options):
    global found
    found = [{"NodeID": str(len(options["runtime_env"]["env_vars"]["A"])), "NodeManagerHostname": "h",
              "NodeManagerAddress": "a", "Alive": True}]

def nodes():
    return found

def remote(one):
    return one

def shutdown():
    pass
"""


@pytest.mark.processes
async def test_a_runtime_env_that_is_larger_than_a_socket_takes_at_once(tmp_path, monkeypatch):
    """It reaches the driver's process whole, and so does what is said behind it."""
    (tmp_path / "ray" / "util").mkdir(parents=True)
    (tmp_path / "ray" / "__init__.py").write_text(RAY)
    (tmp_path / "ray" / "util" / "__init__.py").touch()
    (tmp_path / "ray" / "util" / "scheduling_strategies.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    loop = asyncio.get_running_loop()
    driver = RayDriver("auto", {"env_vars": {"A": "x" * 2_000_000}}, loop, LoopReader(loop))
    listed = await driver.call(say.ListMachines(driver.number()), say.MachinesAre)
    assert ["2000000"] == [machine.key for machine in listed.machines]
    await driver.close()


def test_an_address_where_nothing_listens():
    """It is said at once, and Ray is not asked, which would try for minutes."""
    address = f"127.0.0.1:{free_port()}"
    (failed,) = answers(Ray(init=AssertionError()), say.Join(1, address, {}))
    assert f"no head of a Ray cluster answers at {address}: Connection refused; is it up" in failed.why
    (failed,) = answers(Ray(init=AssertionError()), say.Join(1, "head.invalid:6379", {}))
    assert failed.why.startswith("no head of a Ray cluster answers at head.invalid:6379: ")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ConnectionError("Could not find any running Ray instance."),
            "no Ray runs on this machine: start one with `ray",
        ),
        (
            RuntimeError(
                "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\nThis ..."
            ),
            "Version mismatch: The cluster was started with: Ray: 2.60.0 Python: 3.12.1 This ...",
        ),
        (
            unconnected("ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is ..."),
            "the head of the cluster wants its token: start the daemon with RAY_AUTH_MODE=token, and have the token of",
        ),
        (unconnected("RpcError: 14"), "ConnectionError: Failed to connect to Ray cluster at 10.0.0.1:6379"),
        (ValueError("runtime_env is odd"), "ValueError: runtime_env is odd"),
    ],
)
def test_a_cluster_that_cannot_be_joined(error, text):
    """One line says what is wrong."""
    (failed,) = answers(Ray(init=error), say.Join(1, "auto", {}))
    assert failed.why.startswith(text)
    assert "\n" not in failed.why


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            RayTaskError(ModuleNotFoundError("No module named 'supervisor'", name="supervisor")),
            "this project is not there (No module named 'supervisor'): pip install 'actor-supervisor[ray]' there",
        ),
        (RayTaskError(OSError(24, "Too many open files")), "OSError: [Errno 24] Too many open files"),
        (type("ActorDiedError", (Exception,), {})("it died\nThe actor's node has died."), "The actor's node"),
    ],
)
def test_a_machine_that_runs_no_agent(error, text):
    """What is missing there; another machine may do."""
    start = say.StartAgent(2, "node", b"t", 5.0, 0, [])
    _, failed = answers(Ray(start=error), say.Join(1, None, {}), start)
    assert text in failed.why
    assert failed.elsewhere


def test_the_last_words_of_a_driver_that_aborts():
    """The line before the stack of C++ says why."""
    text = (
        "[2026-11-28 15:30:01,1 C 7 9] gcs_rpc_client.h:212: Failed to connect to GCS within 60 seconds. The program "
        "will terminate.\n*** StackTrace Information ***\n/x/ray/_raylet.so(+0x18b5b0a) [0x7f26] ray::operator<<()\n"
        "/lib/x86_64-linux-gnu/libc.so.6(+0x1098ec) [0x7f266d1278ec]\n\n"
    )
    assert last_words(text).endswith("Failed to connect to GCS within 60 seconds. The program will terminate.")
    assert "it said nothing" == last_words("")
