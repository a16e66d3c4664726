"""Environment, directory, limits, processors and niceness of one actor's process."""

from __future__ import annotations

import importlib
import os

import pytest

from supervisor import ChildSpec, InvalidSpec, StartFailed, Supervisor
from tests.support.located import Located, Where

pytestmark = pytest.mark.processes


def child(**options):
    return ChildSpec(Located, name="a", **options)


async def test_each_is_in_force(tmp_path):
    """The actor finds what its spec says, and its sibling and the daemon what they had."""
    cpu = min(os.sched_getaffinity(0))
    special = child(
        env={"COLOUR": "blue"},
        cwd=str(tmp_path),
        rlimits={"NOFILE": (64, 128), "AS": 2**33},
        cpu_affinity=(cpu,),
        nice=3,
    )
    mine = Located().where(Where())
    async with Supervisor(special, ChildSpec(Located, name="plain"), spares=0) as root:
        assert {
            "env": "blue",
            "cwd": str(tmp_path),
            "nofile": "(64, 128)",
            "as": f"({2**33}, {2**33})",
            "cpus": f"[{cpu}]",
            "nice": str(int(mine["nice"]) + 3),
        } == await root["a"].ask(Where())
        assert mine == await root["plain"].ask(Where())
    assert mine == Located().where(Where())


async def test_they_hold_before_the_module_is_imported(tmp_path, monkeypatch):
    """What the module reads when it is imported is what the spec says."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "reads_at_import.py").write_text(
        "import os\n"
        "from tests.processes.test_conditions import Located, Where\n"
        "from actors import handles\n"
        "SEEN = os.environ.get('COLOUR', 'none')\n"
        "class Reader(Located):\n"
        "    @handles\n"
        "    def where(self, msg: Where) -> dict[str, str]:\n"
        "        return {'seen': SEEN}\n"
    )
    reader = importlib.import_module("reads_at_import").Reader
    async with Supervisor(ChildSpec(reader, name="a", env={"COLOUR": "red"}), spares=0) as root:
        assert {"seen": "red"} == await root["a"].ask(Where())


REFUSED = {
    "cwd": ({"cwd": "/no/such/directory"}, "cwd='/no/such/directory' of its spec was refused by the system"),
    "rlimits": (
        {"rlimits": {"NOFILE": 2**40}},  # above what the kernel allows root
        f"rlimits['NOFILE']=({2**40}, {2**40}) of its spec was refused by the system",
    ),
}


@pytest.mark.parametrize("field", list(REFUSED))
async def test_what_the_system_refuses(field):
    """A failed start that says which, and why."""
    options, text = REFUSED[field]
    with pytest.raises(StartFailed) as caught:
        async with Supervisor(child(**options)):
            pass
    assert text in str(caught.value)
    assert "(setting up its process)" in str(caught.value)


INVALID = [
    ({"nice": 40}, "$.children[0].nice"),
    ({"nice": "low"}, "$.children[0].nice"),
    ({"cpu_affinity": ()}, "$.children[0].cpu_affinity"),
    ({"cpu_affinity": (-1,)}, "$.children[0].cpu_affinity"),
    ({"cpu_affinity": (1023,)}, "cpu_affinity: this machine has the processors"),
    ({"cwd": ""}, "$.children[0].cwd"),
    ({"env": {"A": 1}}, "$.children[0].env"),
    ({"env": {"A=B": "1"}}, "$.children[0].env"),
    ({"env": {"PYTHONHASHSEED": "1"}}, "read before the process can set it"),
    ({"env": {"LD_PRELOAD": "x"}}, "read before the process can set it"),
    ({"rlimits": {"MEMORY": 1}}, "$.children[0].rlimits"),
    ({"rlimits": {"AS": "much"}}, "$.children[0].rlimits['AS']"),
    ({"rlimits": {"AS": (1, 2, 3)}}, "$.children[0].rlimits['AS']"),
    ({"rlimits": {"NOFILE": (10, 5)}}, "$.children[0].rlimits['NOFILE']"),
]


@pytest.mark.parametrize(("options", "text"), INVALID, ids=str)
def test_what_cannot_be(options, text):
    """It is refused before anything starts, with its place."""
    with pytest.raises(InvalidSpec) as caught:
        Supervisor(child(**options))
    assert text in str(caught.value)
