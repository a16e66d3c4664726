"""Job definition: which functions are jobs, and their arguments and results as bytes."""

from __future__ import annotations

import functools
import threading

import msgspec
import pytest

from actors import Message, UsageError, job
from actors.jobs.definition import definition_of
from actors.jobs.jobs import RunIdempotentJob, RunIdempotentSharingJob, RunJob, RunSharingJob, shown
from actors.wire.codec import encode
from tests.support.jobs import Broken, Item, Report, double, options, work


def lock(mutex: threading.Thread) -> None: ...


def two_structs(item: Item | Report) -> None: ...


class Unread(msgspec.Struct):
    part: Missing  # noqa: F821


def unread(item: Unread) -> None: ...


def unannotated(item) -> int: ...


def without_result(item: int): ...


def rest(*items: int) -> int: ...


def named(**items: int) -> int: ...


def yields(count: int) -> list[int]:
    yield count


async def waits(count: int) -> int: ...


class Klass:
    def method(self, count: int) -> int: ...

    @staticmethod
    def static(count: int) -> int: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda item: item, "a lambda has no name"),
        (Klass.method, "Klass.method is defined in a class"),
        (Klass.static, "Klass.static is defined in a class"),
        (Klass, "it was given Klass"),
        ("parse", "it was given 'parse'"),
        (functools.partial(double, 3), "it was given functools.partial"),
        (unannotated, "job unannotated does not say what 'item' is"),
        (without_result, "job without_result does not say what it returns"),
        (rest, "job rest takes any number of arguments (items)"),
        (named, "job named takes any number of arguments (items)"),
        (yields, "job yields has a yield"),
        (waits, "job waits is async"),
        (two_structs, "parameter 'item' of job two_structs cannot travel"),
        (unread, "parameter 'item' of job unread cannot travel: name 'Missing' is not defined"),
        (len, "job len does not say what 'obj' is"),
    ],
)
def test_what_is_no_job_is_refused_where_it_is_marked(function, text):
    with pytest.raises(UsageError) as refused:
        job(function)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_local_function_is_refused():
    def inner(number: int) -> int: ...

    with pytest.raises(UsageError, match="defined inside test_a_local_function_is_refused"):
        job(inner)


def test_a_type_without_a_codec_is_refused_when_the_job_is_used_since_a_class_below_may_bring_one():
    definition = definition_of(job(lock))
    with pytest.raises(UsageError, match="parameter 'mutex' of job lock, Thread, contains threading.Thread"):
        _ = definition.result


def later(item: Below) -> Below: ...


later = job(later)


class Below(Item):
    pass


def missing(item: Nowhere) -> None: ...  # noqa: F821 - that is the point


def test_annotations_may_name_what_is_defined_below():
    assert definition_of(later).encode((Below(1),), {})


def test_annotations_that_name_nothing_are_refused_when_the_job_is_used():
    with pytest.raises(UsageError, match="the annotations of job missing cannot be read: name 'Nowhere'"):
        _ = definition_of(job(missing)).result


def test_what_is_not_marked_is_no_job():
    with pytest.raises(UsageError, match="test_what_is_not_marked_is_no_job is not a job; write @job"):
        definition_of(test_what_is_not_marked_is_no_job)


def test_a_job_is_called_directly_as_before():
    assert double(4) == 8
    assert options("a", strict=True) == ("a", 3, True)


@pytest.mark.parametrize(
    ("args", "kwargs"), [(("a",), {}), (("a", 1), {"strict": True}), (("a",), {"strict": False}), (("a", 5), {})]
)
def test_a_call_by_bytes_is_the_call(args, kwargs):
    definition = definition_of(options)
    result, shared = definition.call(options, *definition.encode(args, kwargs))
    assert not shared
    assert definition.result.decode(result) == options(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "why"),
    [
        (double, ("a",), {}, "Expected `int`, got `str` - at `$.number`"),
        (double, (), {}, "it lacks the argument 'number'"),
        (double, (1, 2), {}, "it takes 1 positional arguments, 2 were given"),
        (double, (1,), {"number": 1}, "'number' was given twice"),
        (double, (1,), {"other": 1}, "it has no keyword argument 'other'"),
        (options, (), {"path": "a"}, "it has no keyword argument 'path'"),
        (work, (Broken(),), {}, "objects of type Broken have no codec"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(function, args, kwargs, why):
    with pytest.raises(UsageError) as refused:
        definition_of(function).encode(args, kwargs)
    assert str(refused.value) == f"job {function.__name__} cannot be run: {why}"


@job
def wrong(kind: str) -> int | None:
    return {"text": "text", "open": open}[kind]


def test_a_result_that_breaks_the_promise_is_told_in_one_line():
    definition = definition_of(wrong)
    for kind, name in (("text", "str"), ("open", "builtin_function_or_method")):
        with pytest.raises(UsageError) as refused:
            definition.call(wrong, *definition.encode((kind,), {}))
        assert str(refused.value).startswith(f"wrong returned a {name}, its annotation promises int | None: ")
        assert "\n" not in str(refused.value)


class Other(Message[int]):
    pass


@pytest.mark.parametrize("message", [RunJob, RunIdempotentJob, RunSharingJob, RunIdempotentSharingJob])
def test_how_reports_name_a_job(message):
    """By its function; where its bytes are not known, or are no such message, as a job."""
    assert "job parse" == shown(message, encode(message("shop", "parse", b"")))
    assert ["job", "job ?", "job ?"] == [shown(message, data) for data in (None, b"", b"\x92\xa6RunJob\x01")]


def test_how_reports_name_any_other_message():
    """By its class."""
    assert "Other" == shown(Other, encode(Other()))
