"""The memory limit, of made-up control groups of both versions, and of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.system.memory_limit import memory_limit

MIB = 2**20
MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/app.slice/shop.service\n", {"app.slice/shop.service/memory.max": f"{300 * MIB}\n"}, 300 * MIB),
        (
            "0::/app.slice/shop.service\n",
            {"app.slice/shop.service/memory.max": "max\n", "app.slice/memory.max": f"{200 * MIB}\n"},
            200 * MIB,
        ),
        (
            "0::/pod/main\n",
            {"pod/main/memory.max": f"{100 * MIB}\n", "pod/memory.max": f"{200 * MIB}\n"},
            100 * MIB,
        ),
        ("0::/\n", {"memory.max": f"{64 * MIB}\n"}, 64 * MIB),
        ("0::/not/visible/here\n", {"memory.max": f"{64 * MIB}\n"}, 64 * MIB),
        ("0::/shop\n", {"shop/memory.max": "max\n"}, MACHINE),
        ("4:memory:/shop\n3:cpuset:/\n0::/\n", {"memory/shop/memory.limit_in_bytes": f"{50 * MIB}\n"}, 50 * MIB),
        ("4:memory:/not/visible\n0::/\n", {"memory/memory.limit_in_bytes": f"{50 * MIB}\n"}, 50 * MIB),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, MACHINE),
        ("3:cpuset:/shop\n", {"shop/memory.max": "1\n"}, MACHINE),
        ("", {}, MACHINE),
    ],
    ids=[
        "v2",
        "v2, of the group above",
        "v2, the least of both",
        "v2 in a container",
        "v2 in a container, named from outside",
        "v2 without a limit",
        "v1",
        "v1 in a container",
        "v1 without a limit",
        "another controller",
        "no control groups",
    ],
)
def test_of_control_groups(tmp_path, groups, limits, expected):
    write(tmp_path / "cgroup", groups)
    for place, text in limits.items():
        write(tmp_path / "mounted" / place, text)
    assert expected == memory_limit(tmp_path / "cgroup", tmp_path / "mounted")


def test_where_nothing_can_be_read(tmp_path):
    assert MACHINE == memory_limit(tmp_path / "missing", tmp_path)


@pytest.mark.skipif(not Path("/proc/self/cgroup").exists(), reason="there are no control groups")
def test_here():
    """The limit of this process: never more than the machine has."""
    found = memory_limit()
    assert found is not None
    assert 0 < found <= MACHINE
