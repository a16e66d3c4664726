"""A job with its terms: how it is shown."""

from __future__ import annotations

import pytest

from supervisor.jobs.prepared_job import MAX_SHOWN, PreparedJob
from tests.support.jobs import double


class Counted:
    reprs = 0

    def __repr__(self) -> str:
        Counted.reprs += 1
        return "x"


class Mute:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a.py", "double('a.py')"),
        ([1, [2]], "double([1, [2]])"),
        (bytes(100), "double(<100 bytes>)"),
        ([Mute()], "double([<a Mute whose repr raised ValueError>])"),
    ],
    ids=["text", "list", "bytes", "mute"],
)
def test_arguments_are_shown_in_one_line(value, text):
    assert text == PreparedJob(double, None, idempotent=False).shown((value,), {})


def test_a_number_of_thousands_of_digits_is_named():
    """It has no repr; from CPython 3.15 on reprlib says so itself."""
    shown = PreparedJob(double, None, idempotent=False).shown((10**5000,), {})
    assert shown.startswith(
        ("double(<an int whose repr raised ValueError>", "double(<int instance with roughly 5001 digits")
    )


def test_of_a_long_list_only_the_beginning_is_looked_at():
    """The event loop shows it."""
    shown = PreparedJob(double, None, idempotent=False).shown(([Counted()] * 10_000,), {})
    assert shown.startswith("double([x, x, ")
    assert Counted.reprs <= MAX_SHOWN
