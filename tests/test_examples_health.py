"""The examples of health checks answer as a load balancer expects."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, until_now

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parent.parent


def fetch(url: str, method: str = "GET") -> tuple[int, str]:
    """Status and text; (0, "") where nothing listens."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.parametrize("server", ["aiohttp", "fastapi"])
def test_health(server):
    """Well, unwell by what the actor says, and gone after SIGTERM."""
    needed = {"aiohttp": ["aiohttp"], "fastapi": ["fastapi", "uvicorn"]}[server]
    if not all(map(importlib.util.find_spec, needed)):
        pytest.skip(f"needs {' and '.join(needed)}")
    port = free_port()
    command = {
        "aiohttp": [sys.executable, "examples/health_aiohttp.py", str(port)],
        "fastapi": [sys.executable, "-m", "uvicorn", "examples.health_fastapi:app", "--port", str(port)],
    }[server]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    daemon = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        until_now(lambda: 200 == fetch(f"{base}/readyz")[0], "ready")
        assert (200, "healthy\n") == fetch(f"{base}/healthz") == fetch(f"{base}/readyz")
        assert (200, "-5") == fetch(f"{base}/add/-5", "POST")
        until_now(lambda: 503 == fetch(f"{base}/readyz")[0], "not ready")
        status, text = fetch(f"{base}/healthz")
        assert 200 == status
        assert "degraded: /root/counter says: it counts below zero" in text
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(DEADLINE)
    finally:
        daemon.kill()
        daemon.wait()
