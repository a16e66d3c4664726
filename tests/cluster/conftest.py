"""Three real raylets on this machine, for all tests of this folder."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import pytest

PATIENCE = 240.0  # seconds for Ray, on a slow machine that has just been installed
PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
SETTINGS = {
    "RAY_agent_register_timeout_ms": "240000",
    "RAY_TMPDIR": "/tmp",  # its sockets need a short path
    "RAY_memory_monitor_refresh_ms": "0",  # it would kill agents where other programs fill the memory
    "RAY_health_check_period_ms": "300",  # a killed raylet refuses each check at once and is soon known to be dead,
    "RAY_health_check_timeout_ms": "20000",  # while one that only gets no processor has minutes
    "RAY_health_check_failure_threshold": "10",
}


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Ray keeps threads, descriptors and processes of its own for as long as it is there."""


@pytest.fixture(autouse=True)
def logs():
    """Log lines are the application's."""


@pytest.fixture(scope="session")
def raylets():
    """A head and two more nodes, each with one processor; `left` and `right` have resources of that name, and a GPU.

    They are the same before and after each test. A test that kills a node adds one of its own, see `doomed`.
    """
    pytest.importorskip("ray", reason="needs Ray: pip install 'actor-supervisor[ray]'")
    from ray._private import services  # noqa: PLC0415 - only where it is installed
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - as above

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setattr(services, "get_node", patient(services.get_node))
        head = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False, "wait": False, **ports()}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        add(cluster, resources={"left": 2, "outer": 1}, num_gpus=1)
        add(cluster, resources={"right": 2}, num_gpus=1)
        cluster.wait_for_nodes(timeout=PATIENCE)
        yield cluster
        cluster.shutdown()
        sys.stdout.flush()


@pytest.fixture
def doomed(raylets):
    """A node more, with resources `doomed` and `outer`; the test kills it. Afterwards Ray lists it no more."""
    node = add(raylets, resources={"doomed": 1, "outer": 1})
    raylets.wait_for_nodes(timeout=PATIENCE)
    yield node
    if node in raylets.worker_nodes:
        raylets.remove_node(node, allow_graceful=False)
    raylets.wait_for_nodes(timeout=PATIENCE)


def patient(get_node):
    """Ray gives a node up that it does not see within half a minute, as on a machine that has much else to do."""

    def get(*args, **options):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return get_node(*args, **options)
            except RuntimeError:  # it has not registered yet, or the head does not answer yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    return get


def add(cluster, **options):
    return cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20, wait=False, **ports(), **options)


def ports():
    """Ports for what a raylet starts beside it: one that has to find them aborts when they do not come within 15 s."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("", 0))) for _ in PORTS]
        return {name: sock.getsockname()[1] for name, sock in zip(PORTS, socks, strict=True)}
