"""structlog in an actor: events, fields and levels as they are, unless the actor has a configuration of its own."""

from __future__ import annotations

import pytest
import structlog

from actors.output.log_structlog import relay_structlog
from actors.wire.log_lines import Record
from tests.support.saying import KeptVoice


@pytest.fixture
def output_pipe():
    return KeptVoice()


@pytest.fixture(autouse=True)
def fresh():
    """Structlog as it is when it was just imported, and afterwards as it was before."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


def test_events_and_fields(output_pipe):
    """What is bound and what is in the context, too; the method's name is the level."""
    relay_structlog(output_pipe)
    log = structlog.get_logger().bind(shop="x")
    with structlog.contextvars.bound_contextvars(order=3):
        log.info("cart.filled", items=2)
    log.critical("cart.lost", why=None, thing=(1,))
    assert [
        Record("info", "cart.filled", {"shop": "x", "items": 2, "order": 3}),
        Record("critical", "cart.lost", {"shop": "x", "why": None, "thing": "(1,)"}),
    ] == output_pipe.said


def test_a_logger_made_before(output_pipe):
    """Those at the top of the actor's module are heard, too."""
    log = structlog.get_logger()
    relay_structlog(output_pipe)
    log.warning("cart.low")
    assert [Record("warning", "cart.low", {})] == output_pipe.said


def test_an_exception_brings_its_traceback(output_pipe):
    """Under the name that other lines use for it."""
    relay_structlog(output_pipe)
    try:
        raise KeyError("x")
    except KeyError:
        structlog.get_logger().exception("cart.failed")
    (record,) = output_pipe.said
    assert "error" == record.level
    assert record.fields.keys() == {"traceback"}
    assert record.fields["traceback"].endswith("KeyError: 'x'")


def test_a_configuration_of_the_actors_own(output_pipe):
    """It is left alone."""
    seen = []

    def keep(logger, method, said):
        seen.append(said["event"])
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    relay_structlog(output_pipe)
    structlog.get_logger().info("cart.filled")
    assert ["cart.filled"] == seen
    assert [] == output_pipe.said


def test_twice(output_pipe):
    """Called again, nothing is said twice."""
    relay_structlog(output_pipe)
    relay_structlog(output_pipe)
    structlog.get_logger().info("cart.filled")
    assert 1 == len(output_pipe.said)
