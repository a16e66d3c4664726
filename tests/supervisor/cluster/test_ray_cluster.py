"""RayCluster: what is refused when it is made; Ray itself is not loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from actors import UsageError
from supervisor import Supervisor
from supervisor.cluster import RayCluster, ray_cluster
from tests.support.waiting import ROOT


def test_without_ray_it_names_the_extra(monkeypatch):
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs Ray, which is not installed: pip install 'actor-supervisor\[ray\]'"):
        RayCluster()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"address": ""}, "address must be 'auto', 'local' or 'host:port', it is ''"),
        ({"address": "head"}, "address must be 'auto', 'local' or 'host:port', it is 'head'"),
        ({"address": "head:port"}, "address must be 'auto', 'local' or 'host:port', it is 'head:port'"),
        ({"address": "ray://head:10001"}, "is of Ray's client, which is not a machine of the cluster"),
        ({"runtime_env": ["a"]}, "runtime_env must be a mapping"),
        (
            {"runtime_env": {"py_modules": [Supervisor]}},
            "runtime_env must be of plain values, since the process that uses",
        ),
        ({"lease": 0.1}, "lease must be seconds, at least 0.5; it is 0.1"),
        ({"lease": "5"}, "lease must be seconds"),
    ],
)
def test_what_cannot_work_is_refused(monkeypatch, arguments, text):
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda _: object())
    with pytest.raises(UsageError) as refusal:
        RayCluster(**arguments)
    assert text in str(refusal.value)


def test_what_is_no_cluster():
    with pytest.raises(UsageError, match="cluster must be a RayCluster or None, it is 'auto'"):
        Supervisor(cluster="auto")


def test_ray_is_loaded_by_its_own_process_alone():
    """Neither the package nor its parts in the daemon import it."""
    code = "import sys, supervisor, supervisor.cluster.machines, supervisor.cluster; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "False" == done.stdout.strip()
    code = "import sys, supervisor; print('supervisor.cluster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "False" == done.stdout.strip()
