"""Reports: each happening once as a value and once as a line of the daemon's own log."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
import structlog

from actors.exits import ExitKind, ExitReason, ExitReport
from actors.wire.log_lines import PRINTED, Record
from supervisor.observe.dead_letters import DeadLetter, DeadReason
from supervisor.observe.happenings import (
    ChildExited,
    ChildStarted,
    SupervisorGaveUp,
    SupervisorStarted,
    SupervisorStopped,
)
from supervisor.observe.logs import _say_that_prints_are_not_shown, actor_logger, level_of
from supervisor.observe.reports import Reports
from tests.support.actors import Note

REPORT = ExitReport(
    actor="/root/a",
    life=2,
    pid=77,
    reason=ExitReason(ExitKind.KILLED, "SIGKILL by someone else"),
    signal="SIGKILL",
    last_message="Note",
    last_message_begun=True,
    uptime=1.23456,
    decision="restart",
    because="permanent children are restarted",
    delay=0.123456,
)


def letter(number=1):
    return DeadLetter(
        actor="/root/a",
        message=Note(number),
        message_type="Note",
        sender=None,
        reason=DeadReason.ACTOR_STOPPED,
        detail="over",
        deliveries=0,
    )


@pytest.fixture
def reports():
    return Reports()


async def test_event_names_and_fields(reports, logs):
    """One line each, with what is known and nothing else."""
    reports.child_started("/root/a", 1, 76)
    reports.supervisor_started("/root")
    reports.child_exited(REPORT, "permanent", 1)
    reports.supervisor_gave_up("/root", "a", 4)
    reports.supervisor_stopped("/root", ExitReason(ExitKind.SHUTDOWN, "gave up"))
    assert logs == [
        {"event": "child.started", "log_level": "info", "actor": "/root/a", "life": 1, "pid": 76},
        {"event": "supervisor.started", "log_level": "info", "supervisor": "/root"},
        {
            "event": "child.exited",
            "log_level": "error",
            "actor": "/root/a",
            "life": 2,
            "pid": 77,
            "reason": "killed",
            "error": "SIGKILL by someone else",
            "signal": "SIGKILL",
            "last_message": "Note",
            "last_message_begun": True,
            "uptime": 1.235,
            "decision": "restart",
            "because": "permanent children are restarted",
            "delay": 0.123,
            "policy": "permanent",
            "restarts": 1,
        },
        {"event": "supervisor.gave_up", "log_level": "critical", "supervisor": "/root", "child": "a", "restarts": 4},
        {"event": "supervisor.stopped", "log_level": "info", "supervisor": "/root", "reason": "shutdown: gave up"},
    ]


async def test_happenings(reports):
    """The same as values."""
    stream = reports.happenings.read()
    reports.child_started("/root/a", 1, 76)
    reports.supervisor_started("/root")
    reports.child_exited(REPORT, "permanent", 1)
    reports.supervisor_gave_up("/root", "a", 4)
    reason = ExitReason(ExitKind.SHUTDOWN, "gave up")
    reports.supervisor_stopped("/root", reason)
    reports.close()
    assert [
        ChildStarted("/root/a", 1, 76),
        SupervisorStarted("/root"),
        ChildExited(REPORT),
        SupervisorGaveUp("/root", "a", 4),
        SupervisorStopped("/root", reason),
    ] == [happening async for happening in stream]


@pytest.mark.parametrize(
    ("kind", "level"),
    [(ExitKind.NORMAL, "info"), (ExitKind.SHUTDOWN, "info"), (ExitKind.CRASHED, "error"), (ExitKind.LOST, "error")],
)
async def test_levels_of_ends(reports, logs, kind, level):
    """Only abnormal ends are errors."""
    reports.child_exited(ExitReport(actor="/root/a", life=1, pid=None, reason=ExitReason(kind)), "permanent", 0)
    assert level == logs[0]["log_level"]


async def test_dead_letters(reports, logs):
    """Every one as a value, the 1st, 10th, 100th... of a kind as a line; at the end how many it were."""
    stream = reports.dead_letters.read()
    for number in range(120):
        reports.message_dead_lettered(letter(number))
    reports.close()
    assert 120 == len([each async for each in stream])
    assert [1, 10, 100, 120] == [line["count"] for line in logs]
    assert ("/root/a", "actor_stopped", "in all") == tuple(logs[-1][name] for name in ("actor", "reason", "detail"))
    assert {
        "event": "message.dead_lettered",
        "log_level": "warning",
        "actor": "/root/a",
        "message": "Note",
        "reason": "actor_stopped",
        "detail": "over",
        "deliveries": 0,
        "count": 1,
    } == logs[0]


async def test_the_number_of_dead_letters_is_said_once(reports, logs):
    """Not again at the end, where the last line had it."""
    for number in range(10):
        reports.message_dead_lettered(letter(number))
    reports.close()
    assert [1, 10] == [line["count"] for line in logs]


async def test_what_an_actor_says(reports, logs):
    """Its own fields as it gave them, its level, and who it is; an unknown level is info."""
    reports.actor_said("/root/a", 3, Record("warning", "page.read", {"path": "x", "life": 9, "event": "y"}))
    reports.actor_said("/root/a", 3, Record("shout", "page.read", {}))
    reports.actor_said("/root/a", 3, Record("bind", "page.read", {"self": 1, "method_name": 2, "event_kw": 3}))
    assert {
        "event": "page.read",
        "event_": "y",
        "log_level": "warning",
        "actor": "/root/a",
        "life": 9,
        "speaker_life": 3,
        "path": "x",
    } == logs[0]
    assert ["info", "info"] == [line["log_level"] for line in logs[1:]]
    assert 2 == logs[2]["method_name"]


@pytest.fixture
def unconfigured():
    """No structlog configuration: lines go to logging."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("unconfigured")
async def test_without_a_configuration_of_structlog(caplog, capsys):
    """Lines are records of `logging`: by name, level, text and attributes; nothing goes to standard output."""
    caplog.set_level(logging.INFO)
    reports = Reports()
    loggers = set(logging.Logger.manager.loggerDict)
    reports.child_started("/root/a", 1, 76)
    reports.actor_said("/root/a", 1, Record("debug", "page.read", {}))
    reports.actor_said("/root/a", 1, Record("warning", "page.lost", {"path": "a b", "name": "n", "actor": "Tom"}))
    reports.actor_said("/root/b/0", 2, Record("error", "low: 3", {"logger": "shop", "traceback": "T\nE"}))
    reports.actor_said("/root/b/0", 2, Record("info", "actor.printed", {"text": "hello", "stream": "stdout"}))
    assert [
        ("supervisor", logging.INFO, "child.started actor=/root/a life=1 pid=76"),
        (
            "supervisor.actor.root.a",
            logging.WARNING,
            "page.lost path='a b' name=n actor=Tom speaker_actor=/root/a life=1",
        ),
        ("supervisor.actor.root.b.0", logging.ERROR, "low: 3"),
        ("supervisor.actor.root.b.0", logging.INFO, "hello"),
    ] == [(record.name, record.levelno, record.getMessage()) for record in caplog.records]
    assert "low: 3\nT\nE" == logging.Formatter("%(message)s").format(caplog.records[2])
    reports.child_exited(msgspec.structs.replace(REPORT, traceback="T\nE\n", stderr=("a", "b")), "permanent", 1)
    assert ("T\nE", "it wrote last:\na\nb") == (caplog.records[-1].exc_text, caplog.records[-1].stack_info)
    lost = caplog.records[1]
    assert ("page.lost", "Tom", "a b", "n") == (lost.event, lost.actor, lost.path, lost.name_)
    assert loggers | {"supervisor"} == set(logging.Logger.manager.loggerDict) | {"supervisor"}
    assert "" == capsys.readouterr().out


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("handlers", [[], [logging.NullHandler()]])
async def test_prints_that_nothing_shows(handlers, monkeypatch, capsys):
    """A program that configures nothing hears once where they go; one that does has decided."""
    monkeypatch.setattr(logging.getLogger(), "handlers", handlers)
    _say_that_prints_are_not_shown.cache_clear()
    reports = Reports()
    for text in ("a", "b"):
        reports.actor_said("/root/a", 1, Record("info", PRINTED, {"text": text, "stream": "stdout"}))
    reports.actor_said("/root/a", 1, Record("info", "page.read", {}))
    said = capsys.readouterr().err
    assert (0 if handlers else 1) == said.count("logging.basicConfig(level=logging.INFO)") == said.count("\n")


@pytest.mark.usefixtures("unconfigured")
async def test_one_actors_level(caplog):
    """A level set for one actor's logger counts for it, and for those below."""
    caplog.set_level(logging.INFO)
    logging.getLogger("supervisor.actor.root.loud").setLevel(logging.ERROR)
    reports = Reports()
    for actor in ("/root/loud", "/root/loud/0", "/root/quiet"):
        reports.actor_said(actor, 1, Record("info", "said", {}))
    assert ["supervisor.actor.root.quiet"] == [record.name for record in caplog.records]
    assert logging.ERROR == level_of(actor_logger("/root/loud/0"))
    assert logging.INFO == level_of(actor_logger("/root/quiet"))


@pytest.fixture
def configured():
    """A structlog configuration of the daemon's own."""
    before = structlog.get_config()
    yield structlog.configure
    structlog.configure(**before)


async def test_the_daemons_configuration_is_used(configured, caplog):
    """Its processors, its logger, its levels; nothing of ours is set."""
    configured(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    caplog.set_level(logging.INFO)
    reports = Reports()
    config = structlog.get_config()
    reports.child_started("/root/a", 1, 76)
    reports.actor_said("/root/a", 1, Record("debug", "page.read", {}))
    reports.actor_said("/root/a", 1, Record("warning", "page.lost", {"path": "x"}))
    assert [("child.started", logging.INFO), ("page.lost", logging.WARNING)] == [
        (record.message, record.levelno) for record in caplog.records
    ]
    assert ("/root/a", "x") == (caplog.records[1].actor, caplog.records[1].path)
    assert config == structlog.get_config()


async def test_a_configuration_that_comes_later_is_used(configured):
    """The daemon may configure its log after the supervisor was made."""
    reports = Reports()
    lines = []

    def keep(logger, method, event):
        lines.append(event["event"])
        raise structlog.DropEvent

    configured(processors=[keep])
    reports.supervisor_started("/root")
    assert ["supervisor.started"] == lines


async def test_a_broken_log_does_not_break_the_tree(configured):
    """What the daemon's own processors raise goes to the loop's exception handler, and the tree lives on."""

    def broken(logger, method, event):
        raise ZeroDivisionError("a processor of the daemon")

    configured(processors=[broken])
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    reports = Reports()
    stream = reports.happenings.read()
    reports.child_started("/root/a", 1, 76)
    reports.child_exited(REPORT, "permanent", 1)
    reports.actor_said("/root/a", 1, Record("info", "page.read", {}))
    reports.message_dead_lettered(letter())
    reports.supervisor_started("/root")
    reports.supervisor_gave_up("/root", "a", 4)
    reports.supervisor_stopped("/root", ExitReason(ExitKind.SHUTDOWN))
    reports.close()
    assert 5 == len([each async for each in stream])
    assert [ZeroDivisionError] * 7 == [type(error) for error in told]
