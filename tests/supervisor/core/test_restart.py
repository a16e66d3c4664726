"""Causes and rules as values: what is refused, and how names meet."""

import queue
import signal
from json import JSONDecodeError

import pytest

from actors import UsageError
from actors.exits import exception_names
from supervisor import Cause, Restart, RestartPolicy
from supervisor.core.causes import Rule, matching


class Wrong(LookupError):
    pass


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cause.exception("ConfigError"), "write its module, too"),
        (
            lambda: Cause.exception("actors.errors.UsageErorr"),
            "actors.errors has no exception class of this name, did you mean UsageError",
        ),
        (lambda: Cause.exception("bisect.bisect"), "bisect has no exception class of this name"),
        (lambda: Cause.exception("bisect.Outer.Wrong"), "bisect has no exception class of this name"),
        (lambda: Cause.exception("a b"), "an exception class or its name"),
        (lambda: Cause.exception(int), "an exception class or its name"),
        (lambda: Cause.exit_code(-9), "for a signal, Cause.signal"),
        (lambda: Cause.exit_code(True), "a number from 0 to 255"),
        (lambda: Cause.exit_code("78"), "a number from 0 to 255"),
        (lambda: Cause.signal("KILL"), "the name of a signal"),
        (lambda: Cause.signal(99), "the name of a signal"),
        (lambda: Restart("permanent", {Cause.hang}), "are not rules"),
        (lambda: Restart("always", {}), "'always' is not a policy; expected one of 'permanent'"),
        (lambda: Restart("permanent", {"hang": "stop"}), "'hang' is not a cause"),
        (lambda: Restart("permanent", {Cause.hang: "kill"}), "'kill' is not an action; expected one of 'restart'"),
        (lambda: Restart("temporary", {Cause.hang: "restart"}), "a temporary child is never restarted"),
    ],
)
def test_refused(make, says):
    """In one line, when the rule is written."""
    with pytest.raises(UsageError, match=says):
        make()


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (Cause.exception(KeyError), "exception KeyError"),
        (Cause.exception("builtins.KeyError"), "exception KeyError"),
        (Cause.exception("shop.ConfigError"), "exception shop.ConfigError"),
        (Cause.exception("json.not_loaded_yet.Wrong"), "exception json.not_loaded_yet.Wrong"),
        (Cause.exception("__main__.Wrong"), "exception __main__.Wrong"),
        (Cause.exception("IOError"), "exception OSError"),
        (Cause.exception("asyncio.TimeoutError"), "exception TimeoutError"),
        (Cause.exception("json.JSONDecodeError"), "exception json.decoder.JSONDecodeError"),
        (Cause.exception("queue.Empty"), "exception _queue.Empty"),
        (Cause.exception(Wrong), f"exception {__name__}.Wrong"),
        (Cause.exit_code(78), "exit code 78"),
        (Cause.signal(signal.SIGTERM), "signal SIGTERM"),
        (Cause.signal("SIGTERM"), "signal SIGTERM"),
        (Cause.out_of_memory, "out of memory"),
        (Cause.hang, "hang"),
        (Cause.failed_start, "failed start"),
    ],
)
def test_words(cause, name):
    """A cause reads as what happened."""
    assert name == str(cause)


def test_names_of_an_exception():
    """Itself, then its bases; the main module has one name on both sides."""
    main = type("Bad", (ValueError,), {"__module__": "__mp_main__"})
    assert (f"{__name__}.Wrong", "LookupError", "Exception", "BaseException") == exception_names(Wrong)
    assert "__main__.Bad" == exception_names(main)[0]


def test_an_exception_has_the_names_of_the_packages_that_export_it():
    """So a rule may name it as code does, also where the daemon has not imported the package."""
    assert ("json.decoder.JSONDecodeError", "json.JSONDecodeError", "ValueError") == exception_names(JSONDecodeError)[
        :3
    ]
    assert ("_queue.Empty", "queue.Empty") == exception_names(queue.Empty)[:2]


def test_the_first_cause_with_a_rule_decides():
    """Whatever the order of the rules."""
    rules = (Rule(Cause.exception(Exception), "stop"), Rule(Cause.exception(LookupError), "escalate"))
    causes = [Cause.exception(cls) for cls in (Wrong, LookupError, Exception)]
    assert rules[1] == matching(rules, causes)
    assert rules[0] == matching(rules, causes[2:])
    assert None is matching(rules, causes[:1])


def test_a_restart_is_a_value():
    """Equal when its policy and rules are; its repr shows them."""
    one = Restart(RestartPolicy.PERMANENT, {Cause.hang: "stop"})
    assert one == Restart("permanent", {Cause.hang: "stop"})
    assert hash(one) == hash(Restart("permanent", {Cause.hang: "stop"}))
    assert "Restart(permanent, {hang: stop})" == repr(one)
