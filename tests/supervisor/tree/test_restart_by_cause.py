"""Restart by cause with real deaths of real processes."""

from __future__ import annotations

import pytest

from supervisor import Cause, ChildExited, ChildSpec, Intensity, Restart, RestartIntensityExceeded, Supervisor
from tests.support.causes import ConfigError, Die, Mortal, Unready

pytestmark = pytest.mark.processes


WAYS = [
    ("raise", Cause.exception(ConfigError)),
    ("raise", Cause.exception(f"{ConfigError.__module__}.MissingKey")),
    ("exit", Cause.exit_code(78)),
    ("leave", Cause.exit_code(78)),
    ("hang", Cause.hang),
    ("signal", Cause.signal("SIGABRT")),
]


async def test_the_cause_of_each_death_finds_its_rule():
    """An exception by its base, codes given in two ways, a hang, a signal: each actor stays down for its own cause."""
    specs = [
        ChildSpec(Mortal, name=f"a{number}", restart=Restart("permanent", {cause: "stop"}), handler_timeout=0.3)
        for number, (_, cause) in enumerate(WAYS)
    ]
    async with Supervisor(*specs, start="parallel", spares=0) as root:
        events = root.events()
        for spec, (how, _) in zip(specs, WAYS, strict=True):
            root[spec.name].tell_nowait(Die(how))
        because = {}
        async for event in events:
            if isinstance(event, ChildExited):
                because[event.report.actor] = event.report.because
            if len(because) == len(WAYS):
                break
    assert because == {f"/root/a{number}": f"the rule for {cause} says stop" for number, (_, cause) in enumerate(WAYS)}


async def test_a_wrong_configuration_does_not_loop():
    """A first start that fails for a cause with a rule: the child stays down and the tree starts; or all gives up."""
    stop, escalate = (Restart("permanent", {Cause.exception(ConfigError): action}) for action in ("stop", "escalate"))
    async with Supervisor(ChildSpec(Unready, name="a", restart=stop), spares=0) as root:
        assert "exited" == root.snapshot().children[0].state
    with pytest.raises(Exception, match="the rule for exception .*ConfigError says escalate|did not start"):
        async with Supervisor(ChildSpec(Unready, name="a", restart=escalate), spares=0):
            pytest.fail("the body began")


async def test_escalation_says_which_rule():
    """The error of a tree that gave up names the rule, not an intensity."""
    spec = ChildSpec(Mortal, name="a", restart=Restart("permanent", {Cause.exit_code(78): "escalate"}))
    with pytest.raises(RestartIntensityExceeded, match="gave up: the rule for exit code 78 says escalate"):
        async with Supervisor(spec, intensity=Intensity.unlimited(), spares=0) as root:
            await root["a"].tell(Die("leave"))
            await root.wait()
