"""How a life ends: six words, and the report."""

from __future__ import annotations

import msgspec
import pytest

from actors.exits import ExitKind, ExitReason, ExitReport, with_article


@pytest.mark.parametrize(
    ("kind", "abnormal"),
    [
        (ExitKind.NORMAL, False),
        (ExitKind.SHUTDOWN, False),
        (ExitKind.CRASHED, True),
        (ExitKind.KILLED, True),
        (ExitKind.UNSTARTED, True),
        (ExitKind.LOST, True),
    ],
)
def test_abnormal(kind, abnormal):
    """Everything but normal and shutdown is abnormal."""
    assert abnormal is ExitReason(kind).abnormal


def test_all_kinds_are_known():
    """The table above has a row for each."""
    assert 6 == len(ExitKind)


def test_a_reason_reads_as_one_line():
    """The word, and the detail when there is one."""
    assert "killed: SIGKILL" == str(ExitReason(ExitKind.KILLED, "SIGKILL"))
    assert "normal" == str(ExitReason(ExitKind.NORMAL))


def test_a_report_says_everything_it_knows():
    """Who, how, after how long, at which message, and what is next."""
    report = ExitReport(
        actor="/root/a",
        life=3,
        pid=7,
        reason=ExitReason(ExitKind.CRASHED, "KeyError: 'x'"),
        traceback="Traceback\nKeyError: 'x'\n",
        last_message="Note",
        last_message_begun=True,
        uptime=1.5,
        decision="restart",
        because="permanent children are restarted",
        delay=0.1,
    )
    assert str(report).splitlines() == [
        "/root/a (life 3, pid 7) ended: crashed: KeyError: 'x'",
        "  after 1.500 s",
        "  while handling Note",
        "  next: restart in 0.100 s (permanent children are restarted)",
        "  | Traceback",
        "  | KeyError: 'x'",
    ]


def test_a_report_says_what_was_used_and_what_broke():
    """Deliveries, time, memory and the native stack, each in words."""
    report = ExitReport(
        actor="/root/a",
        life=3,
        pid=7,
        reason=ExitReason(ExitKind.KILLED, "SIGSEGV, segmentation fault"),
        signal="SIGSEGV",
        native_stack="Fatal Python error: Segmentation fault\n\nCurrent thread\n",
        last_message="Note",
        last_message_begun=True,
        deliveries=2,
        cpu_time=0.25,
        peak_memory=3 * 2**20,
        uptime=1.5,
    )
    assert str(report).splitlines() == [
        "/root/a (life 3, pid 7) ended: killed: SIGSEGV, segmentation fault",
        "  after 1.500 s, with 0.250 s of CPU time and 3.0 MiB of memory at most",
        "  while handling Note, begun 2 times",
        "  | Fatal Python error: Segmentation fault",
        "  | ",
        "  | Current thread",
    ]


def test_the_report_of_a_supervisor_names_the_last_death_below_it():
    """On its first line."""
    below = ExitReport(actor="/root/sub/a", life=4, pid=7, reason=ExitReason(ExitKind.CRASHED, "KeyError"))
    report = ExitReport(
        actor="/root/sub", life=1, pid=None, reason=ExitReason(ExitKind.SHUTDOWN, "gave up"), cause=below.headline
    )
    assert str(report).splitlines()[0] == (
        "/root/sub (life 1) ended: shutdown: gave up; the last: /root/sub/a (life 4, pid 7) ended: crashed: KeyError"
    )


def test_a_report_is_silent_about_what_it_does_not_know():
    """No line without something to say."""
    report = ExitReport(
        actor="/root/a",
        life=1,
        pid=None,
        reason=ExitReason(ExitKind.LOST),
        last_message="Note",
        last_message_begun=False,
    )
    assert "  last handled Note" in str(report).splitlines()
    assert "next" not in str(report)


def test_a_report_says_that_an_exception_failed_its_message():
    """It was being handled when the handler raised; that it has ended is said beside it."""
    report = ExitReport(
        actor="/root/a",
        life=1,
        pid=2,
        reason=ExitReason(ExitKind.CRASHED, "KeyError: 'x' (in A.note)"),
        last_message="Note",
        last_message_begun=False,
        last_message_failed=True,
    )
    assert "  while handling Note, which failed" in str(report).splitlines()
    assert report.line.endswith("(in A.note); while handling Note, which failed")


def test_a_report_is_a_value():
    """It can be written down and read again."""
    report = ExitReport(actor="/root/a", life=1, pid=2, reason=ExitReason(ExitKind.NORMAL, "x"), uptime=0.25)
    assert report == msgspec.json.decode(msgspec.json.encode(report), type=ExitReport)


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("leave_down", "next: it stays down (because)"),
        ("give_up", "next: its supervisor gives up (because)"),
        ("recycle", "next: its next life takes over (because)"),
        ("expected", "as expected (because)"),
    ],
)
def test_what_follows_is_said_in_words(decision, words):
    """The field is for programs, the text for people."""
    reason = ExitReason(ExitKind.SHUTDOWN, "asked by the supervisor")
    report = ExitReport(actor="/root/a", life=1, pid=7, reason=reason, decision=decision, because="because")
    assert report.line.endswith(f"; {words}")


@pytest.mark.parametrize(
    "spoken",
    [
        "an int",
        "an object",
        "an Add",
        "an Unpickled",
        "an _Add",
        "a str",
        "a Ping",
        "a UsageError",
        "a Union",
        "a OneOf",
    ],
)
def test_the_article_of_a_type(spoken):
    """It goes by how the name sounds."""
    assert spoken == with_article(spoken.split()[1])
