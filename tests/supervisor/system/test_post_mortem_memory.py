"""OomWitness: the kernel's count of kills for lack of memory."""

from __future__ import annotations

import sys

import pytest

import supervisor.system.post_mortem
from supervisor.system.post_mortem import OomWitness


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
    return OomWitness([count.path], count.clock)


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
    assert len(witness._looks) < 110


def test_the_first_that_can_be_read(tmp_path, count):
    """What is missing, has no such line, or is no file, is passed over."""
    (tmp_path / "other").write_text("oom 1\noom_kill\noom_kill many\n")
    witness = OomWitness([tmp_path / "missing", tmp_path / "other", tmp_path, count.path], count.clock)
    assert count.path == witness.source


def test_not_known(tmp_path, witness, count):
    """No file, no number; nor when it goes away."""
    nowhere = OomWitness(iter([tmp_path / "missing"]))
    assert (None, None) == (nowhere.source, nowhere.look())
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
        lambda path: groups if "self" in path.parts and "proc" in path.parts else read(path),
    )
    assert counter == OomWitness().source
    counter.unlink()
    assert tmp_path / "vmstat" == OomWitness().source


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts")
def test_here():
    """On Linux there is always a count, at least the machine's own."""
    witness = OomWitness()
    assert witness.source is not None
    assert witness.look() is not None
