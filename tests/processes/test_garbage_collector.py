"""The garbage collector of a process leaves out what every actor imports; of all else it works as ever."""

from __future__ import annotations

import gc
import sys

import pytest

from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.processes


class Collector(Message[tuple[bool, tuple[int, ...], list[str]]]):
    """Replied: whether it collects, after how many objects, and which of these modules it looks at."""

    modules: list[str]


class Collecting(Actor):
    @handles
    def collector(self, msg: Collector) -> tuple[bool, tuple[int, ...], list[str]]:
        looked_at = {id(one) for one in gc.get_objects()}
        named = [name for name in msg.modules if id(vars(sys.modules[name])) in looked_at]
        return gc.isenabled(), gc.get_threshold(), named


OURS = ["actors.child.main", "actors.messages", "msgspec"]


async def test_it_looks_at_what_an_actor_makes_and_not_at_what_every_actor_imports():
    async with Supervisor(ChildSpec(Collecting)) as root:
        collects, thresholds, looked_at = await root["collecting"].ask(Collector([*OURS, __name__]), timeout=DEADLINE)
    assert collects
    assert gc.get_threshold() == thresholds
    assert [__name__] == looked_at


async def test_one_that_the_environment_turns_off_stays_off(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sitecustomize.py").write_text("import gc\ngc.disable()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with Supervisor(ChildSpec(Collecting)) as root:
        collects, _, _ = await root["collecting"].ask(Collector([]), timeout=DEADLINE)
    assert not collects
