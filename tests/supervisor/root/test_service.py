"""What systemd is told: a real daemon in a process of its own, and a real datagram socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from supervisor.root.service import notice
from supervisor.system.service_manager import ServiceManager
from supervisor.tree.health import HealthStatus, TreeHealth
from tests.support.waiting import DEADLINE

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/how-to/systemd.md"
HEALTHY = TreeHealth(HealthStatus.HEALTHY)
DEGRADED = TreeHealth(HealthStatus.DEGRADED, ("/root/a says: behind",))
OUTSIDE = TreeHealth(HealthStatus.DEGRADED, ("the store of /root fails: its disk is full",), outside=True)


@pytest.mark.parametrize(
    ("health", "said", "watched", "fields"),
    [
        (HEALTHY, "", False, {"STATUS": "healthy"}),
        (HEALTHY, "healthy", False, {}),
        (HEALTHY, "healthy", True, {"WATCHDOG": 1}),
        (DEGRADED, "healthy", True, {"STATUS": "degraded: /root/a says: behind"}),
        (OUTSIDE, str(OUTSIDE), True, {"WATCHDOG": 1}),
        (TreeHealth(HealthStatus.STARTING), "starting", True, {"EXTEND_TIMEOUT_USEC": 15_000_000}),
        (
            TreeHealth(HealthStatus.STOPPING),
            "healthy",
            False,
            {"STOPPING": 1, "STATUS": "stopping", "EXTEND_TIMEOUT_USEC": 15_000_000},
        ),
        (TreeHealth(HealthStatus.STOPPING), "stopping", True, {"EXTEND_TIMEOUT_USEC": 15_000_000, "WATCHDOG": 1}),
    ],
)
def test_what_is_said_of_a_tree(health, said, watched, fields):
    found = notice(health, said, watched=watched)
    assert {name: str(value) for name, value in found.items()} == {name: str(value) for name, value in fields.items()}


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_of_the_environment(environment, watchdog):
    manager = ServiceManager.of({"NOTIFY_SOCKET": "/nowhere", **environment})
    assert manager is not None
    assert manager.watchdog == watchdog


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_no_socket_that_we_can_reach(address):
    assert ServiceManager.of({"NOTIFY_SOCKET": address}) is None


def test_a_socket_that_is_gone_disturbs_nothing():
    ServiceManager("/nowhere/at/all").tell({"READY": 1})


class Systemd:
    """The side of the service manager, and the daemon that it has started."""

    def __init__(self, address: str, *, watchdog: str = "") -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.settimeout(DEADLINE)
        self.heard: list[str] = []
        environment = {"NOTIFY_SOCKET": address, "PYTHONPATH": str(ROOT)}
        if watchdog:
            environment["WATCHDOG_USEC"] = watchdog
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "tests.support.service"], cwd=ROOT, env={**os.environ, **environment}
        )

    def until(self, line: str) -> list[str]:
        """The lines that come until this one, which may be the beginning of one."""
        found: list[str] = []
        while not (found and any(each.startswith(line) for each in found)):
            found += self._socket.recv(4096).decode().splitlines()
        self.heard += found
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.kill()
        self.daemon.wait()
        self._socket.close()


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_ready_and_stopping(kind, tmp_path):
    """A start that takes long asks for more time; then ready, and stopping at SIGTERM."""
    address = str(tmp_path / "notify") if kind == "path" else f"@actors-tests-{os.getpid()}"
    with Systemd(address) as systemd:
        systemd.until("READY=1")
        assert "EXTEND_TIMEOUT_USEC=15000000" in systemd.heard[: systemd.heard.index("READY=1")]
        assert any(line.startswith("STATUS=starting") for line in systemd.heard)
        systemd.daemon.send_signal(signal.SIGTERM)
        systemd.until("STOPPING=1")
        assert systemd.daemon.wait(DEADLINE) == 0
    assert not any(line.startswith("WATCHDOG") for line in systemd.heard)


@pytest.mark.processes
def test_signs_of_life_only_while_it_is_healthy(tmp_path):
    """SIGHUP makes the actor of the daemon say that it is unwell, a second one that it is well again."""
    with Systemd(str(tmp_path / "notify"), watchdog="100000") as systemd:
        systemd.until("READY=1")  # a sign of life may come before: then SIGHUP has no handler yet
        systemd.until("WATCHDOG=1")
        systemd.daemon.send_signal(signal.SIGHUP)
        systemd.until("RELOADING=1")
        systemd.until("STATUS=degraded: /root/patient says: unwell")
        systemd.daemon.send_signal(signal.SIGHUP)
        between = systemd.until("STATUS=healthy")
        assert "WATCHDOG=1" not in between[: between.index("STATUS=healthy")]
        systemd.until("WATCHDOG=1")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_file_of_the_docs(tmp_path):
    """`systemd-analyze verify` finds nothing wrong in it."""
    unit = PAGE.read_text().partition("```ini\n")[2].partition("```")[0]
    assert "Type=notify" in unit
    unit = unit.replace("/opt/shop/bin/python", sys.executable).replace("User=shop\n", "")
    path = tmp_path / "shop.service"
    path.write_text(unit)
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, "shop.service" in done.stderr) == (0, False), done.stderr
