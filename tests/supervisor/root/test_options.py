"""Options of `Supervisor`: what it does not take is refused with what was meant, before anything is made."""

from __future__ import annotations

import dataclasses

import pytest

from actors import UsageError
from supervisor import BRUTAL_KILL, ChildSpec, Strategy, Supervisor, SupervisorSpec
from supervisor.root.options import Options, RootSpec
from supervisor.testing import InlineSupervisor, ScriptedSupervisor
from supervisor.testing.fixtures import Trees
from tests.support.actors import Common

WAYS = {
    "Supervisor": Supervisor,
    "in_thread": Supervisor.in_thread,
    "InlineSupervisor": InlineSupervisor,
    "ScriptedSupervisor": ScriptedSupervisor,
    "tree.new": Trees(inline=True).new,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"strategi": Strategy.ONE_FOR_ALL}, "Supervisor takes no option 'strategi'; did you mean strategy?"),
        (
            {"children": []},
            "Supervisor takes no option 'children': specs come first, one by one: Supervisor(*specs, name=...)",
        ),
        ({"spare": 2}, "Supervisor takes no option 'spare'; did you mean spares?"),
        ({"stop_timout": 2}, "Supervisor takes no option 'stop_timout'; did you mean stop_timeout?"),
        (
            {"shutdown": BRUTAL_KILL},
            "Supervisor takes no option 'shutdown', its children do: ChildSpec(..., shutdown=...)",
        ),
        (
            {"workers": 4},
            f"Supervisor takes no option 'workers'; it takes {', '.join(sorted(Options.__optional_keys__))}",
        ),
    ],
)
def test_an_option_that_there_is_not(way, options, text):
    with pytest.raises(UsageError) as refused:
        WAYS[way](ChildSpec(Common), **options)
    assert text == str(refused.value)


def test_the_spec_of_a_root_is_that_of_a_supervisor():
    """But for its children, and for what only a supervisor above it could use."""
    above = {"restart", "shutdown", "significant", "backoff"}
    fields = {field.name: field.type for field in dataclasses.fields(SupervisorSpec)}
    hints = {name: hint.__forward_arg__ for name, hint in RootSpec.__annotations__.items()}
    assert hints == {name: hint for name, hint in fields.items() if name not in {"children", *above}}
