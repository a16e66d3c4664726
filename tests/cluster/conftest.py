"""Three real raylets on this machine, for all tests of this folder."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Ray keeps threads, descriptors and processes of its own for as long as it is there."""


@pytest.fixture(autouse=True)
def logs():
    """Log lines are the application's."""


@pytest.fixture(scope="session")
def raylets():
    """A head and two more nodes, each with one processor; the nodes are labelled `left` and `right`."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'actor-supervisor[ray]'")
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - only where it is installed

    os.environ["RAY_TMPDIR"] = "/tmp"  # its sockets need a short path
    head = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for name in ("left", "right"):
        node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20, resources={name: 2}, num_gpus=1, wait=False)
        setattr(cluster, name, node)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()
    sys.stdout.flush()
