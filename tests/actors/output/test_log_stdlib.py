"""Standard logging in an actor: one record for each message, at the levels the actor has set."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from actors.output import log_stdlib as room
from actors.output.log_stdlib import RelayHandler, level_name, relay_logging
from actors.wire.log_lines import Record
from tests.support.racing import meanwhile
from tests.support.saying import KeptVoice


@pytest.fixture
def output_pipe():
    return KeptVoice()


def test_fields_of_a_record(output_pipe, root):
    """What `extra=` brings arrives beside the logger's name."""
    root.handlers.clear()
    relay_logging(output_pipe)
    logging.getLogger("shop").warning("low", extra={"order": 7, "actor": "Tom"})
    assert [Record("warning", "low", {"logger": "shop", "order": 7, "actor": "Tom"})] == output_pipe.said


def test_the_daemons_level(output_pipe, root):
    """It holds where the actor has set none."""
    root.handlers.clear()
    relay_logging(output_pipe, logging.INFO)
    logging.getLogger("shop").info("said")
    relay_logging(output_pipe)
    assert (logging.INFO, 1) == (root.level, len(output_pipe.said))
    root.setLevel(logging.ERROR)
    relay_logging(output_pipe, logging.DEBUG)
    assert logging.ERROR == root.level


def test_the_functions_of_the_module(output_pipe, root):
    """`logging.error` sets up a handler that prints; it is replaced at once; a later basicConfig counts."""
    root.handlers.clear()
    relay_logging(output_pipe)
    logging.error("first")  # noqa: LOG015 - it is what an actor does
    logging.getLogger("shop").error("second")
    assert [("error", "first"), ("error", "second")] == [(said.level, said.event) for said in output_pipe.said]
    root.handlers.clear()
    logging.basicConfig(level=logging.DEBUG)
    logging.getLogger("shop").debug("third")
    assert "third" == output_pipe.said[-1].event


def test_loggers_that_other_threads_make_meanwhile(output_pipe, root):
    """They are no reason for a start to fail."""

    def come_or_go(name):
        if root.manager.loggerDict.pop(name, None) is None:
            logging.getLogger(name)

    for number in range(300):
        logging.getLogger(f"shop_{number}")
    with meanwhile(come_or_go):
        for _ in range(100):
            relay_logging(output_pipe)


@pytest.fixture
def root(monkeypatch):
    """A logging library of the test's own."""
    made = logging.RootLogger(logging.WARNING)
    made.manager = logging.Manager(made)
    monkeypatch.setattr(logging, "root", made)
    monkeypatch.setattr(logging.Logger, "manager", made.manager)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    monkeypatch.setattr(logging, "basicConfig", logging.basicConfig)
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)  # other tests may run programs here that add fields, as Ray does
    yield made
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (5, "debug"),
        (10, "debug"),
        (20, "info"),
        (25, "info"),
        (30, "warning"),
        (40, "error"),
        (50, "critical"),
        (99, "critical"),
    ],
)
def test_levels(number, name):
    """A level of the actor's own is the known one below it."""
    assert name == level_name(number)


def test_an_actor_that_set_up_nothing(output_pipe, root):
    """Warnings and worse leave as records, as they would be printed; nothing else."""
    root.handlers.clear()  # pytest's own
    relay_logging(output_pipe)
    log = logging.getLogger("shop.cart")
    log.info("not said")
    log.warning("low: %s", 3)
    assert [Record("warning", "low: 3", {"logger": "shop.cart"})] == output_pipe.said


def test_a_level_of_the_actors_own(output_pipe, root):
    """A logger that lets more through is heard."""
    root.handlers.clear()  # pytest's own
    relay_logging(output_pipe)
    logging.getLogger("shop").setLevel(logging.DEBUG)
    logging.getLogger("shop.cart").debug("small")
    assert [Record("debug", "small", {"logger": "shop.cart"})] == output_pipe.said


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_handler_that_prints_is_replaced(output_pipe, root, stream, monkeypatch):
    """What would be printed is said once, and the handler's level and filters hold."""
    monkeypatch.setattr(sys, stream, io.StringIO())
    handler = logging.StreamHandler(getattr(sys, stream))
    handler.setLevel(logging.ERROR)
    handler.addFilter(lambda record: "secret" not in record.msg)
    log = logging.getLogger("shop")
    log.addHandler(handler)
    relay_logging(output_pipe)
    relay_logging(output_pipe)
    log.warning("below")
    log.error("a secret")
    log.error("heard")
    assert [Record("error", "heard", {"logger": "shop"})] == output_pipe.said
    assert "" == getattr(sys, stream).getvalue()


def test_other_handlers_stay(output_pipe, root, tmp_path):
    """A file is the actor's own affair, and so is a handler of a class of its own."""

    class Mine(logging.StreamHandler):
        pass

    file, mine = logging.FileHandler(tmp_path / "log"), Mine(sys.stderr)
    root.handlers[:] = [file, mine]
    relay_logging(output_pipe)
    assert [file, mine] == root.handlers
    file.close()


def test_a_basic_config_that_comes_later(output_pipe, root, monkeypatch):
    """It does what it says, and its records arrive at their level."""
    root.handlers.clear()  # pytest's own
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    relay_logging(output_pipe)
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("shop").info("as a record")
    assert "" == sys.stderr.getvalue()
    assert [Record("info", "as a record", {"logger": "shop"})] == output_pipe.said


def test_an_exception_brings_its_traceback(output_pipe, root):
    """And the stack, when it is asked for."""
    root.handlers.clear()  # pytest's own
    relay_logging(output_pipe)
    log = logging.getLogger("shop")
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("failed", stack_info=True)
    log.error("no exception", exc_info=True)  # noqa: LOG014 - that is the question
    failed, plain = output_pipe.said
    assert failed.fields["traceback"].endswith("KeyError: 'x'\n")
    assert failed.fields["stack"].startswith("Stack (most recent call last)")
    assert {"logger": "shop"} == plain.fields


def test_what_cannot_be_put_into_words(output_pipe, root, capsys):
    """A bad format is reported as logging does it; the actor goes on."""
    root.handlers.clear()  # pytest's own
    relay_logging(output_pipe)
    logging.getLogger("shop").warning("%d", "x")
    logging.getLogger("shop").warning("caf\udce9")
    assert ["caf\\udce9"] == [record.event for record in output_pipe.said]
    assert "TypeError" in capsys.readouterr().err


def test_a_last_resort_that_was_taken_away(output_pipe, root, monkeypatch):
    """An actor that wants no last resort gets none."""
    root.handlers.clear()  # pytest's own
    monkeypatch.setattr(logging, "lastResort", None)
    relay_logging(output_pipe)
    assert logging.lastResort is None
    assert not any(isinstance(handler, RelayHandler) for handler in root.handlers)
    assert room.logging is logging
