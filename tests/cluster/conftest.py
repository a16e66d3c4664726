"""Three real raylets on this machine, for all tests of this folder."""

from __future__ import annotations

import sys
import time

import pytest

PATIENCE = 240.0  # seconds for Ray, on a slow machine that has just been installed
SLOW = 60.0  # seconds for one node to register
TRIES = 4
PAUSE = 0.2  # seconds between two of them
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
        cluster = Cluster()
        add(cluster)
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
    """Ray gives a node up that it does not see within half a minute, or that it cannot ask for once."""

    def get(*args, **options):
        deadline = time.monotonic() + SLOW
        while True:
            try:
                return get_node(*args, **options)
            except RuntimeError:  # it has not registered yet, or the head does not answer yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)

    return get


def add(cluster, **options):
    """A node. A raylet aborts where the Python process beside it takes more than 15 s to start: then another is tried.

    Where Ray itself does not start, nothing of ours can be tested.
    """
    size = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    for left in reversed(range(TRIES)):
        try:
            return cluster.add_node(wait=False, **size, **options)
        except Exception as error:  # it raises Exception itself
            if "timed out during startup" not in str(error):
                raise
            if not left:
                pytest.skip(f"Ray does not start here: {error}")
    raise AssertionError
