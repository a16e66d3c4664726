"""Specs: data that says everything and does nothing."""

from __future__ import annotations

import math
import pickle

import msgspec
import pytest

from actors import Codec, UsageError
from supervisor import (
    BRUTAL_KILL,
    INFINITY,
    Backoff,
    ChildSpec,
    CommandSpec,
    FunctionSpec,
    Intensity,
    Restart,
    RestartPolicy,
    Strategy,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.bridge import AsyncQueueBridge
from supervisor.cluster import RayCluster
from supervisor.core.terms import ChildTerms, SupervisorTerms
from supervisor.store import SQLiteStore
from tests.support.actors import Common, Puppet


def test_defaults():
    """The defaults: permanent, 5 s of grace, a bounded mailbox, the class's name in lower case."""
    spec = ChildSpec(Puppet)
    assert ("puppet", RestartPolicy.PERMANENT, 5.0, 30.0, 10_000, 1, 3) == (
        spec.name,
        spec.restart,
        spec.shutdown,
        spec.start_timeout,
        spec.mailbox,
        spec.size,
        spec.max_deliveries,
    )
    assert (3, 5.0) == (SupervisorSpec().intensity.max_restarts, SupervisorSpec().intensity.period)
    assert ("root", Strategy.ONE_FOR_ONE, INFINITY) == (
        SupervisorSpec().name,
        SupervisorSpec().strategy,
        SupervisorSpec().shutdown,
    )
    assert Backoff(initial=0.1, cap=1.0, jitter=0.2, healthy_after=None) == Backoff()


def test_words_for_shutdown():
    """No grace at all, and all the time in the world."""
    assert 0 == BRUTAL_KILL
    assert math.inf == INFINITY


def test_unlimited_is_said_on_purpose():
    """It has a name of its own."""
    assert Intensity.unlimited().max_restarts is None


def test_arguments_are_pickled_at_once():
    """A change after the spec was made does not reach the actor."""
    diary = ["one"]
    spec = ChildSpec(Common, args=(diary,), kwargs={})
    diary.append("two")
    assert ((["one"],), {}) == pickle.loads(spec.arguments)


def test_frozen():
    """A spec does not change."""
    with pytest.raises(AttributeError):
        ChildSpec(Puppet).name = "other"
    with pytest.raises(AttributeError):
        SupervisorSpec().name = "other"


def test_equal():
    """Two specs that say the same are equal."""
    assert ChildSpec(Puppet, name="a") == ChildSpec(Puppet, name="a")
    assert SupervisorSpec(ChildSpec(Puppet)) == SupervisorSpec(ChildSpec(Puppet))
    assert ChildSpec(Puppet, name="a") != ChildSpec(Puppet, name="b")


def test_members():
    """One process bears the name; a pool's members are numbered."""
    assert ("a",) == ChildSpec(Puppet, name="a").members()
    assert ("a/0", "a/1", "a/2") == ChildSpec(Puppet, name="a", size=3).members()


def test_terms_are_plain_values():
    """What the machine gets can be written into a journal and read again."""
    terms = ChildSpec(Puppet, name="a", restart=RestartPolicy.TRANSIENT, shutdown=2.0, size=2).terms()
    assert ("a/0", "a/1") == tuple(each.name for each in terms)
    assert {(RestartPolicy.TRANSIENT, 2.0)} == {(each.restart, each.shutdown) for each in terms}
    assert terms[0] == msgspec.json.decode(msgspec.json.encode(terms[0]), type=ChildTerms)
    own = SupervisorSpec(name="x", intensity=Intensity(2, 3.0)).own_terms("/root/x")
    assert own == msgspec.json.decode(msgspec.json.encode(own), type=SupervisorTerms)
    assert ("/root/x", 2) == (own.path, own.intensity.max_restarts)


def test_a_supervisor_as_a_child():
    """Its own children bound its stop, and it may take as long as they do to start."""
    (terms,) = SupervisorSpec(name="x", restart=RestartPolicy.TRANSIENT).terms()
    assert ("x", RestartPolicy.TRANSIENT, INFINITY, INFINITY) == (
        terms.name,
        terms.restart,
        terms.shutdown,
        terms.start_timeout,
    )


@pytest.mark.parametrize("actor", [int, "Puppet", None], ids=["type", "str", "None"])
def test_no_actor_class(actor):
    """Whatever is not an actor class is refused with the remedy."""
    with pytest.raises(UsageError, match="is not an Actor class.*pass the class itself"):
        ChildSpec(actor)


class Poll: ...


async def poll() -> None: ...


def work() -> None: ...


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ChildSpec(Common, restrat="permanent"), "ChildSpec takes no option 'restrat'; did you mean restart?"),
        (
            lambda: ChildSpec(Common, intensity=Intensity()),
            "ChildSpec takes no option 'intensity', its supervisor does: Supervisor(..., intensity=...)",
        ),
        (lambda: TaskSpec(poll, shutdwn=1.0), "TaskSpec takes no option 'shutdwn'; did you mean shutdown?"),
        (lambda: FunctionSpec(work, outptu="inherit"), "FunctionSpec takes no option 'outptu'; did you mean output?"),
        (
            lambda: CommandSpec(("true",), stopsignal="SIGINT"),
            "CommandSpec takes no option 'stopsignal'; did you mean stop_signal?",
        ),
        (
            lambda: SupervisorSpec(strategi="one_for_all"),
            "SupervisorSpec takes no option 'strategi'; did you mean strategy?",
        ),
        (lambda: SupervisorSpec(workers=4), "SupervisorSpec takes no option 'workers'; it takes auto_shutdown, "),
        (lambda: Backoff(inital=1.0), "Backoff takes no option 'inital'; did you mean initial?"),
        (lambda: Intensity(max_restart=3), "Intensity takes no option 'max_restart'; did you mean max_restarts?"),
        (lambda: Restart("permanent", rule={}), "Restart takes no option 'rule'; did you mean rules?"),
        (lambda: SQLiteStore("shop.db", snyc="full"), "SQLiteStore takes no option 'snyc'; did you mean sync?"),
        (lambda: RayCluster(adress="auto"), "RayCluster takes no option 'adress'; did you mean address?"),
        (lambda: AsyncQueueBridge(max_size=3), "AsyncQueueBridge takes no option 'max_size'; did you mean maxsize?"),
        (lambda: Codec(Poll, str, decod=str), "Codec takes no option 'decod'; did you mean decode?"),
        (lambda: Codec(Poll, str), "Codec cannot be made: missing a required argument: 'decode'; it takes type, "),
        (lambda: Codec(Poll, str, type=Poll), "Codec cannot be made: multiple values for argument 'type'; it takes "),
        (
            lambda: Intensity(3, 5.0, 7),
            "Intensity cannot be made: too many positional arguments; it takes max_restarts, period",
        ),
        (lambda: Backoff(*range(9)), "Backoff cannot be made: too many positional arguments; it takes initial, cap, "),
        (CommandSpec, "CommandSpec cannot be made: missing a required argument: 'argv'; it takes argv, "),
    ],
)
def test_an_option_that_there_is_not(make, text):
    """It is told with what was meant, as one of `Supervisor` is."""
    with pytest.raises(UsageError) as refused:
        make()
    assert str(refused.value).startswith(text)
