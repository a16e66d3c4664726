"""OomWitness: the kernel's count of kills for lack of memory."""

from __future__ import annotations

import sys

import pytest

import supervisor.system.post_mortem
from supervisor.system.post_mortem import OomWitness, oom_witness


class Count:
    """A counter of the kernel's, and a clock."""

    def __init__(self, path):
        self.path = path
        self.time = 100.0
        self.set(3)

    def set(self, count):
        self.path.write_text(f"low 0\nhigh 0\nmax 7\noom 5\noom_kill {count}\noom_group_kill 1\n")

    def clock(self):
        return self.time


@pytest.fixture
def count(tmp_path):
    return Count(tmp_path / "memory.events")


@pytest.fixture
def witness(count):
    return OomWitness(count.path, clock=count.clock)


def test_nothing_happened(witness):
    """What was counted before is not counted again."""
    assert 0 == witness.look()


def test_a_kill(witness, count):
    """It is seen, and forgotten when it is long ago."""
    count.time += 60
    count.set(4)
    assert 1 == witness.look()
    count.time += 60
    assert 0 == witness.look()


def test_two_killed_at_once(witness, count):
    """Each of two deaths is told of both."""
    count.time += 60
    count.set(5)
    assert 2 == witness.look()
    count.time += 0.1
    assert 2 == witness.look()
    count.time += 0.1
    count.set(6)
    assert 3 == witness.look()
    count.time += 60
    assert 0 == witness.look()


def test_looked_at_all_the_time(witness, count):
    """Frequent looks do not make an old kill a new one, and little is kept."""
    count.set(4)
    for _ in range(1000):
        count.time += 0.01
        witness.look()
    assert 0 == witness.look()
    assert len(witness._group._looks) < 110


@pytest.mark.parametrize(
    ("seconds", "group", "machine", "seen"),
    [(9, 6, 4, 3), (9, 3, 4, 1), (999, 3, 4, None), (999, 4, 9, 1), (999, 3, 3, 0)],
)
def test_a_kill_that_the_machine_counts(tmp_path, count, seconds, group, machine, seen):
    """That of a process in a control group of its own: soon it explains a death, later it is not known whose it was."""
    own = Count(tmp_path / "group")
    witness = OomWitness(own.path, count.path, count.clock)
    count.time += seconds
    own.set(group)
    count.set(machine)
    assert seen == witness.look()


def test_not_known(tmp_path, witness, count):
    """No file, no number; nor when it goes away, or is no file or another one."""
    (tmp_path / "other").write_text("oom 1\noom_kill\noom_kill many\n")
    for path in (None, tmp_path / "missing", tmp_path / "other", tmp_path):
        assert OomWitness(path).look() is None
    count.path.unlink()
    assert witness.look() is None


@pytest.mark.parametrize(
    ("groups", "place"),
    [
        ("0::/app.slice/shop.service\n", "app.slice/shop.service/memory.events"),
        ("0::/\n", "memory.events"),
        ("4:memory:/shop\n3:cpuset:/\n0::/\n", "memory/shop/memory.oom_control"),
        ("4:memory:/not/visible/here\n0::/\n", "memory/memory.oom_control"),
    ],
    ids=["v2", "v2 in a container", "v1", "v1 in a container"],
)
def test_the_own_control_group(tmp_path, monkeypatch, groups, place):
    """The daemon's own group comes first, by its name or, in a container, where the group's root is."""
    (tmp_path / "cgroup").write_text(groups)
    (tmp_path / "vmstat").write_text("oom_kill 9\n")
    counter = tmp_path / place
    counter.parent.mkdir(parents=True, exist_ok=True)
    counter.write_text("oom_kill 1\n")
    read = supervisor.system.post_mortem._read
    monkeypatch.setattr("supervisor.system.post_mortem._CGROUPS", tmp_path)
    monkeypatch.setattr("supervisor.system.post_mortem._MACHINE", tmp_path / "vmstat")
    monkeypatch.setattr(
        "supervisor.system.post_mortem._read",
        lambda path: groups if path == "/proc/self/cgroup" else read(path),
    )
    witness = oom_witness()
    counter.write_text("oom_kill 3\n")
    assert 2 == witness.look()
    counter.unlink()
    witness = oom_witness()
    (tmp_path / "vmstat").write_text("oom_kill 10\n")
    assert 1 == witness.look()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts")
def test_here():
    """On Linux there is always a count, at least the machine's own."""
    assert oom_witness().look() is not None
