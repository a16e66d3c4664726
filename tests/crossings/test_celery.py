"""Celery: a task in a worker process of the prefork pool has a tree of its own."""

from __future__ import annotations

import sys

import pytest

from tests.support.crossings import run, serving, write

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300), pytest.mark.crossing("celery")]

APP = """
import asyncio
import os
from celery import Celery
import shop

here = os.path.dirname(os.path.abspath(__file__))
folders = {"data_folder_in": f"{here}/queue", "data_folder_out": f"{here}/queue", "control_folder": f"{here}/control"}
for folder in ("queue", "control", "results"):
    os.makedirs(f"{here}/{folder}", exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend=f"file://{here}/results")
app.conf.broker_transport_options = folders
app.conf.worker_hijack_root_logger = False


@app.task
def work():
    asyncio.run(shop.scenario())
    return os.getpid()
"""

ASK = """
import tasks

if __name__ == "__main__":
    print("DONE IN", tasks.work.delay().get(timeout=80))
"""


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_a_task_with_a_tree(tmp_path, pool):
    """Also where the worker process is a daemonic one."""
    write(tmp_path, tasks=APP, client=ASK)
    worker = (sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", pool, "-c", "1", "--loglevel", "WARNING")
    with serving(tmp_path, *worker, C_FORCE_ROOT="1") as running:
        printed = run(tmp_path, sys.executable, "client.py")
        assert "DONE IN" in printed
        if pool == "prefork":
            assert str(running.pid) not in printed
    assert "SCENARIO WORKED" in (tmp_path / "server.log").read_text()
