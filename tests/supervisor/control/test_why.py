"""One sentence for each state a child can be in: what happened, by which rule, what is next, and what to do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.exits import ExitKind, ExitReason, ExitReport
from supervisor import ChildState, Health, RestartPolicy, Routing, Strategy, SupervisorState
from supervisor.control.look.samples import Trend
from supervisor.control.look.why.facts import Exit, Facts, Limits, Queue
from supervisor.control.look.why.verdict import Verdict
from supervisor.control.look.why.why import why
from supervisor.core.rules.down import TERMINATED
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot

MIB = 2**20
PERMANENT = "permanent children are restarted"
KEY = "ConfigError: no api key (in Parser.on_start)"
NO_KEY = f"unstarted: {KEY}"
LIMITS = Limits(start_timeout=30.0, shutdown=5.0, mailbox=100, overflow="wait")


def actor(**known):
    fields = {
        "name": "a",
        "path": "/root/a",
        "state": ChildState.RUNNING,
        "restart": RestartPolicy.PERMANENT,
        "life": 1,
        "pid": 7,
        "uptime": 60.0,
        "next_try": None,
        "mailbox": 0,
        "fates": {},
        "handling": None,
        "handling_for": None,
        "health": Health.IDLE,
        "last_exit": None,
    }
    return ChildSnapshot(**{**fields, **known})


def supervisor(*children, **known):
    fields = {
        "name": "sub",
        "path": "/root/sub",
        "state": ChildState.RUNNING,
        "phase": SupervisorState.RUNNING,
        "strategy": Strategy.ONE_FOR_ONE,
        "life": 1,
        "uptime": 9.0,
        "next_try": None,
        "restarts": 0,
        "budget": 3,
        "spares": 0,
        "children": children,
        "last_exit": None,
    }
    return SupervisorSnapshot(**{**fields, **known})


def facts(node, **known):
    """What is known of a child; one that is no process of a pool has its queue alone."""
    mailbox = getattr(node, "mailbox", 0)
    alone = Queue(depth=mailbox, waiting=max(0, mailbox - 1))
    fields = {"supervisor": "/root", "limits": LIMITS, "queue": alone}
    return Facts(node=node, **{**fields, **known})


def died(*ago, reason="killed: SIGKILL from outside", **known):
    return tuple(Exit(seconds, reason, because=PERMANENT, **known) for seconds in ago)


def report(reason, decision, because, **known):
    return ExitReport(actor="/root/a", life=1, pid=7, reason=reason, decision=decision, because=because, **known)


SIGKILL = ExitReason(ExitKind.KILLED, "SIGKILL from outside")
DONE = ExitReason(ExitKind.NORMAL, "it stopped itself")
ASKED = ExitReason(ExitKind.SHUTDOWN, "asked by the supervisor")
LEAKS = Trend(
    seconds=60, handled=9, arrived=9, rss_began=40 * MIB, rss_before=340 * MIB, rss=400 * MIB, life_seconds=360
)
SLOWLY = Trend(seconds=10, handled=50, arrived=170, rss_began=MIB, rss_before=MIB, rss=MIB, life_seconds=60)

TABLE = {
    "healthy": (
        facts(actor(fates={"handled": 1200})),
        Verdict.HEALTHY,
        "/root/a is well: life 1 runs for 60 s, it is idle, none waits, 1,200 messages are over.",
    ),
    "busy": (
        facts(actor(handling="Add", handling_for=0.1, mailbox=1, health=Health.BUSY)),
        Verdict.HEALTHY,
        "it handles Add, 1 message waits or is being handled",
    ),
    "a task": (
        facts(actor(kind="task", pid=None, health=None)),
        Verdict.HEALTHY,
        "/root/a is well: life 1 runs for 60 s.",
    ),
    "a program that a signal has stopped": (
        facts(actor(kind="command", health=Health.STOPPED)),
        Verdict.SUSPENDED,
        "continue it: kill -CONT 7.",
    ),
    "a program that starts long": (
        facts(
            actor(kind="command", state=ChildState.STARTING, uptime=None, health=None),
            started_ago=4.0,
            awaits="port 5000 of 127.0.0.1 does not answer",
        ),
        Verdict.STARTING,
        "and is not ready yet: port 5000 of 127.0.0.1 does not answer; at 30 s (start_timeout) it is killed, which ",
        "counts as a failed start; see what it has written, in the log of the daemon; its pid is 7.",
    ),
    "a program that stops": (
        facts(actor(kind="command", state=ChildState.STOPPING, health=None), stopping_ago=1.0),
        Verdict.STOPPING,
        "see what it has written, in the log of the daemon; its pid is 7.",
    ),
    "a function that leaks": (
        facts(actor(kind="function", health=None), trend=LEAKS),
        Verdict.LEAKING,
        "now by about 60 MiB a minute: a function has no max_rss, so nothing replaces it before the machine's memory ",
        "ends; bound its address space with rlimits=; a new process now: actorctl restart /root/a.",
    ),
    "a job that takes long": (
        facts(actor(handling="job parse", handling_for=33.0, mailbox=1, health=Health.BUSY), runs_jobs=True),
        Verdict.HUNG,
        "has been handling job parse for 33 s: a job may take as long as the timeout= of its run or map allows",
    ),
    "starts, and asks another": (
        facts(actor(state=ChildState.STARTING, uptime=None), started_ago=4.0, asked=("/root/b",)),
        Verdict.STARTING,
        "and is not ready yet: it waits for the answer of /root/b; at 30 s (start_timeout) it is killed, which counts ",
        "as a failed start; see: actorctl why /root/b.",
    ),
    "crash loop by a bad configuration": (
        facts(
            actor(state=ChildState.BACKOFF, life=4, pid=None, uptime=None, next_try=2.1),
            exits=died(12, 10, 6, 0.7, reason=NO_KEY, early=True),
            held=2,
        ),
        Verdict.CRASH_LOOP,
        f"/root/a is in a crash loop: it died 4 times in 11 s, each time before it was ready with {KEY}: ",
        f"{PERMANENT}; life 5 starts in 2.1 s; /root gives up after 1 more within 5 s; what it needs to start ",
        "is wrong, so no restart helps: correct that, or stop it: actorctl stop /root/a.",
    ),
    "crash loop, starting again": (
        facts(
            actor(state=ChildState.STARTING, life=5, uptime=None),
            exits=died(12, 10, 6, reason=NO_KEY, early=True),
            started_ago=1.5,
            allowed=None,
        ),
        Verdict.CRASH_LOOP,
        "and life 5 has been starting for 1.5 s",
    ),
    "crash loop over one message": (
        facts(actor(life=4, uptime=0.2), exits=died(3, 2, 1, reason="killed: SIGSEGV", message="Parse"), held=3),
        Verdict.CRASH_LOOP,
        "each time with killed: SIGSEGV, each time over one Parse: permanent children are restarted; life 4 ",
        "has run for 0.2 s; with one more within 5 s /root gives up; look at what kills it: actorctl why ",
        "/root/a --report, and actorctl dead list /root/a.",
    ),
    "crash loop of several causes": (
        facts(actor(life=5, uptime=0.2), exits=(*died(9, 8), *died(3, 2, reason="crashed: KeyError"))),
        Verdict.CRASH_LOOP,
        "it died 4 times in 7 s, the last 2 times with crashed: KeyError",
    ),
    "crash loop with a recycle behind it": (
        facts(actor(), exits=(*died(12, 6, 4), Exit(3, "shutdown", decision=Decision.RECYCLE, because="recycle was"))),
        Verdict.CRASH_LOOP,
        f"it died 3 times in 8 s, each time with killed: SIGKILL from outside: {PERMANENT}; ",
    ),
    "a crash loop that is over": (
        facts(actor(life=4, uptime=200.0), exits=died(290, 280, 270)),
        Verdict.HEALTHY,
        "its last end was 4 min ago (killed: SIGKILL from outside)",
    ),
    "a crash loop that it got out of, as it is ready now": (
        facts(actor(life=4, uptime=1.0), exits=died(9, 6, 1.2, reason=NO_KEY, early=True), allowed=None),
        Verdict.RESTARTED,
        "restarted; life 4 runs for 1 s and is well; its supervisor never gives up.",
    ),
    "a crash loop that it got out of, as it has run for long": (
        facts(actor(life=4, uptime=20.0), exits=died(30, 25, 21), held=0),
        Verdict.RESTARTED,
        "life 4 runs for 20 s and is well.",
    ),
    "stopped while it waited for its restart": (
        facts(
            actor(state=ChildState.STOPPED, pid=None, last_exit=report(SIGKILL, "restart", PERMANENT)),
            exits=died(4),
        ),
        Verdict.DOWN,
        "/root/a was stopped while it waited for its restart, after it ended 4 s ago with killed: SIGKILL from ",
        "outside: terminate_child was called, or actorctl stop; it stays down; start it: actorctl start /root/a.",
    ),
    "waits for its restart": (
        facts(
            actor(state=ChildState.BACKOFF, pid=None, uptime=None, next_try=0.4), exits=died(0.1, message="Add"), held=1
        ),
        Verdict.WAITING,
        "/root/a died just now while it handled Add (killed: SIGKILL from outside): permanent children are ",
        "restarted; life 2 starts in 0.4 s; /root gives up after 2 more within 5 s; or stop it: actorctl ",
        "stop /root/a.",
    ),
    "waits for its siblings": (
        facts(actor(state=ChildState.BACKOFF, pid=None, uptime=None), exits=died(0.1)),
        Verdict.WAITING,
        "it starts again as soon as its turn comes",
    ),
    "just restarted": (
        facts(actor(life=2, uptime=3.0), exits=died(3.2), held=1),
        Verdict.RESTARTED,
        "/root/a died 3.2 s ago (killed: SIGKILL from outside): permanent children are restarted; life 2 ",
        "runs for 3 s and is well; /root gives up after 2 more within 5 s.",
    ),
    "hung, no limit": (
        facts(actor(handling="Add", handling_for=33.0, mailbox=4, health=Health.BUSY)),
        Verdict.HUNG,
        "/root/a has been handling one Add for 33 s, while 3 messages wait: no handler_timeout is set, so it ",
        "may take as long as it likes; see where it is: actorctl stacks /root/a; end it and keep what waits: ",
        "actorctl restart /root/a.",
    ),
    "hung, over its limit": (
        facts(
            actor(handling="Add", handling_for=11.0, mailbox=1, health=Health.OVER),
            limits=replace(LIMITS, handler_timeout=10.0),
        ),
        Verdict.HUNG,
        "/root/a has been handling one Add for 11 s: its limit is 10 s (handler_timeout); it is looked at ",
        "once more, then killed with its stacks in the report and restarted; see where it is: actorctl ",
        "stacks /root/a.",
    ),
    "long, within its limit": (
        facts(
            actor(handling="Add", handling_for=33.0, mailbox=1, health=Health.BUSY),
            limits=replace(LIMITS, handler_timeout=60.0),
        ),
        Verdict.HEALTHY,
        "it handles Add",
    ),
    "hung in a call": (
        facts(actor(handling="Add", handling_for=33.0, mailbox=4, health=Health.BUSY), asked=("/root/b",)),
        Verdict.HUNG,
        "/root/a has been handling one Add for 33 s, and waits for the answer of /root/b, while 3 messages wait: ",
        "no handler_timeout is set, so it may take as long as it likes; see: actorctl why /root/b; end it",
    ),
    "hung, with several handlers at once": (
        facts(actor(handling="Add", handling_for=33.0, mailbox=4, health=Health.BUSY), queue=Queue(depth=4, waiting=2)),
        Verdict.HUNG,
        "while 2 messages wait: ",
    ),
    "hung in a pool": (
        facts(
            actor(path="/root/a/1", handling="Add", handling_for=33.0, health=Health.BUSY),
            queue=Queue(depth=9, waiting=5, takers=3, first=False),
        ),
        Verdict.HUNG,
        "/root/a/1 has been handling one Add for 33 s, while 5 messages wait for its pool: ",
    ),
    "hung in a pool, while others work": (
        facts(
            actor(path="/root/a/1", handling="Add", handling_for=33.0, health=Health.BUSY),
            queue=Queue(depth=1, waiting=0, takers=3, first=False),
        ),
        Verdict.HUNG,
        "/root/a/1 has been handling one Add for 33 s: no handler_timeout",
    ),
    "suspended": (facts(actor(health=Health.STOPPED)), Verdict.SUSPENDED, "continue it: kill -CONT 7."),
    "leaking": (
        facts(actor(uptime=360.0), trend=LEAKS),
        Verdict.LEAKING,
        "/root/a grows: its memory went from 40 MiB to 400 MiB in 6 min, now by about 60 MiB a minute: no ",
        "max_rss is set, so nothing replaces it before the machine's memory ends; set max_rss=; a new ",
        "process now: actorctl restart /root/a.",
    ),
    "leaking, with a limit": (
        facts(actor(uptime=360.0), trend=LEAKS, limits=replace(LIMITS, max_rss=500 * MIB)),
        Verdict.LEAKING,
        "max_rss replaces it above 500 MiB, and no message is lost",
    ),
    "leaking, killed by the kernel": (
        facts(actor(uptime=30.0), exits=died(200, 100, reason="killed: SIGKILL, out of memory", out_of_memory=True)),
        Verdict.LEAKING,
        "leaks: 2 lives of it ended for memory, the last 100 s ago",
    ),
    "leaking descriptors": (
        facts(
            actor(uptime=360.0),
            trend=replace(SLOWLY, descriptors_began=12, descriptors_before=300, descriptors=350),
        ),
        Verdict.LEAKING,
        "/root/a grows: its open descriptors went from 12 to 350 in 60 s, now by about 300 a minute: at the ",
        "limit of its process (rlimits=) it can open nothing more; find what it opens and does not close: ",
        "ls -l /proc/7/fd; a new process now: actorctl restart /root/a.",
    ),
    "many descriptors that are no more than before": (
        facts(actor(), trend=replace(SLOWLY, descriptors_began=12, descriptors_before=350, descriptors=350)),
        Verdict.HEALTHY,
        "is well",
    ),
    "large from the beginning": (
        facts(actor(), trend=replace(LEAKS, rss_began=400 * MIB, rss_before=400 * MIB)),
        Verdict.HEALTHY,
        "is well",
    ),
    "grown and steady": (facts(actor(), trend=replace(LEAKS, rss_before=400 * MIB)), Verdict.HEALTHY, "is well"),
    "slow consumer": (
        facts(actor(mailbox=60, handling="Add", handling_for=0.1), trend=SLOWLY),
        Verdict.SLOW,
        "/root/a handles 5.0 messages/s and gets 17 messages/s, so 59 messages wait, 12 s of work: see where ",
        "the time goes: actorctl stacks /root/a; more processes: actorctl resize /root/a 2.",
    ),
    "slow consumer, full": (
        facts(actor(mailbox=100, handling="Add", handling_for=0.1), trend=SLOWLY, senders=3),
        Verdict.SLOW,
        "its mailbox is full at 100, and its senders wait for room (overflow=wait), 3 senders now",
    ),
    "slow pool": (
        facts(
            actor(name="a/0", path="/root/a/0", mailbox=100),
            trend=SLOWLY,
            limits=replace(LIMITS, size=4, overflow="drop_oldest"),
            queue=Queue(depth=100, waiting=96, takers=4),
        ),
        Verdict.SLOW,
        "/root/a/0 and its pool handle 5.0 messages/s and get 17 messages/s, so 96 messages wait, 19 s of work: ",
        "its mailbox is full at 100, and the oldest become dead letters (overflow=drop_oldest); see where the time ",
        "goes: actorctl stacks /root/a; more processes: actorctl resize /root/a 5.",
    ),
    "another process of that pool": (
        facts(
            actor(name="a/1", path="/root/a/1", fates={"handled": 12}),
            trend=SLOWLY,
            queue=Queue(depth=100, waiting=96, takers=4, ended=7, first=False),
        ),
        Verdict.HEALTHY,
        "100 messages wait or are being handled in its pool, 7 messages of this life are over.",
    ),
    "a pool by key, where one key is hot": (
        facts(
            actor(name="a/2", path="/root/a/2"),
            trend=SLOWLY,
            limits=replace(LIMITS, size=3),
            queue=Queue(depth=60, waiting=59, by=Routing.BY_KEY),
        ),
        Verdict.SLOW,
        "/root/a/2 handles 5.0 messages/s and gets 17 messages/s, so 59 messages wait, 12 s of work: see where the ",
        "time goes: actorctl stacks /root/a/2; messages of one key are for one process, so only where its keys are ",
        "many do more help: actorctl resize /root/a 4.",
    ),
    "a process of that pool with little to do": (
        facts(
            actor(name="a/0", path="/root/a/0", mailbox=100),
            trend=SLOWLY,
            senders=2,
            queue=Queue(depth=3, waiting=2, longest=False, by=Routing.BY_KEY),
        ),
        Verdict.HEALTHY,
        "3 messages wait or are being handled, 0 messages of this life are over.",
    ),
    "quick with a queue": (
        facts(actor(mailbox=60), trend=replace(SLOWLY, handled=5000, arrived=5000)),
        Verdict.HEALTHY,
        "60 messages wait or are being handled, 0 messages are over",
    ),
    "degraded": (
        facts(actor(degraded="the disk is 95% full")),
        Verdict.DEGRADED,
        "/root/a runs, and says of itself: the disk is 95% full",
    ),
    "a store that fails": (
        facts(actor(), unstored="shop.db: its disk, or its quota, is full. Free space; the store goes on by itself"),
        Verdict.DEGRADED,
        "/root/a runs, but its store fails, and so do those who send to it: shop.db: its disk, or its quota, is full.",
    ),
    "starting long": (
        facts(actor(state=ChildState.STARTING, uptime=None), started_ago=12.0),
        Verdict.STARTING,
        "/root/a has been starting for 12 s (life 1), and is not ready yet: at 30 s (start_timeout) it is ",
        "killed, which counts as a failed start; see where it waits: actorctl stacks /root/a.",
    ),
    "starting again": (
        facts(actor(state=ChildState.STARTING, life=2, uptime=None), started_ago=0.2, exits=died(0.2)),
        Verdict.STARTING,
        "(life 2), after life 1 ended with killed: SIGKILL from outside, and is not ready yet",
    ),
    "not started yet": (
        facts(
            actor(state=ChildState.STOPPED, life=0, pid=None, uptime=None),
            phase=SupervisorState.STARTING,
            waits_for="/root/b",
        ),
        Verdict.NOT_STARTED,
        "/root/a has not been started yet: its supervisor starts one child after the other, and /root/b is ",
        "not ready yet; see: actorctl why /root/b.",
    ),
    "drains": (
        facts(actor(handling="Add", handling_for=40.0, mailbox=3, health=Health.BUSY), drains=True),
        Verdict.STOPPING,
        "/root/a drains, and has 3 messages left; it has been handling Add for 40 s: it takes no new messages ",
        "(drain); it is stopped when none is left, or when the time of the drain is over; see where it is: ",
        "actorctl stacks /root/a.",
    ),
    "drains, and has nothing left": (
        facts(actor(), drains=True),
        Verdict.HEALTHY,
        "it is idle, none waits",
    ),
    "stopping": (
        facts(actor(state=ChildState.STOPPING, handling="Add", handling_for=4.0), stopping_ago=3.0),
        Verdict.STOPPING,
        "/root/a was asked to stop 3 s ago, and is still handling Add: after 5 s in all (shutdown) it is ",
        "killed; see where it is: actorctl stacks /root/a.",
    ),
    "stopped by a call": (
        facts(
            actor(
                state=ChildState.STOPPED,
                pid=None,
                uptime=None,
                last_exit=report(ASKED, "expected", "terminate_child was called"),
            ),
            exits=died(40, reason=str(ASKED), decision=Decision.EXPECTED),
        ),
        Verdict.DOWN,
        "/root/a was stopped 40 s ago: terminate_child was called, or actorctl stop; it stays down; start it: ",
        "actorctl start /root/a.",
    ),
    "on demand, stopped by itself": (
        facts(
            actor(
                state=ChildState.EXITED,
                pid=None,
                uptime=None,
                last_exit=report(DONE, "leave_down", "transient children are not restarted after a normal end"),
            ),
            exits=died(40, reason=str(DONE), decision=Decision.LEAVE_DOWN),
        ),
        Verdict.IDLE,
        "/root/a ended 40 s ago with normal: it stopped itself: transient children are not restarted after a ",
        "normal end, so it stays down; start it: actorctl start /root/a.",
    ),
    "left down": (
        facts(
            actor(
                state=ChildState.EXITED,
                pid=None,
                uptime=None,
                last_exit=report(SIGKILL, "leave_down", "temporary children are never restarted"),
            )
        ),
        Verdict.DOWN,
        "/root/a ended with killed: SIGKILL from outside: temporary children are never restarted, so it ",
        "stays down; mend the cause, then start it: actorctl start /root/a.",
    ),
    "below a supervisor that was stopped": (
        facts(
            actor(state=ChildState.STOPPED, pid=None, uptime=None, last_exit=report(ASKED, "expected", "it was asked")),
            supervisor="/root/sub",
            phase=SupervisorState.STOPPED,
        ),
        Verdict.DOWN,
        "/root/a was stopped: it was asked; it stays down; see: actorctl why /root/sub.",
    ),
    "made its supervisor give up": (
        facts(
            actor(
                state=ChildState.EXITED,
                pid=None,
                uptime=None,
                last_exit=report(SIGKILL, "give_up", "restart 4 within 5 s, where 3 are allowed"),
            )
        ),
        Verdict.GAVE_UP,
        "its supervisor /root gave up, restart 4 within 5 s, where 3 are allowed",
    ),
    "a supervisor that is well": (
        facts(supervisor(actor(), actor())),
        Verdict.HEALTHY,
        "/root/sub is well: all of its 2 children run (one_for_one): restarts in 5 s: 0 used, 3 left.",
    ),
    "a supervisor with a child that is down": (
        facts(supervisor(actor(), actor(name="b", path="/root/sub/b", state=ChildState.BACKOFF))),
        Verdict.DEGRADED,
        "/root/sub runs, but not all below it: b (backoff): restarts in 5 s: 0 used, 3 left; see: actorctl ",
        "why /root/sub/b.",
    ),
    "a supervisor that starts": (
        facts(supervisor(actor(path="/root/sub/a", state=ChildState.STARTING), phase=SupervisorState.STARTING)),
        Verdict.STARTING,
        "/root/sub is starting and waits for /root/sub/a: see: actorctl why /root/sub/a.",
    ),
    "a supervisor that a person has stopped": (
        facts(
            supervisor(
                state=ChildState.STOPPED,
                phase=SupervisorState.STOPPED,
                last_exit=report(ExitReason(ExitKind.SHUTDOWN, "asked to stop"), "expected", TERMINATED),
            )
        ),
        Verdict.DOWN,
        "/root/sub was stopped: terminate_child was called, or actorctl stop; it stays down; start it: actorctl ",
        "start /root/sub.",
    ),
    "a supervisor that gave up": (
        facts(
            supervisor(
                state=ChildState.EXITED,
                phase=SupervisorState.STOPPED,
                last_exit=report(
                    ExitReason(ExitKind.SHUTDOWN, "gave up: restart 4 within 5 s"),
                    "leave_down",
                    "transient children are not restarted after a normal end",
                    cause="/root/sub/a (life 4) ended: killed: SIGSEGV",
                ),
            )
        ),
        Verdict.GAVE_UP,
        "/root/sub ended with shutdown: gave up: restart 4 within 5 s; the last death below it: /root/sub/a ",
        "(life 4) ended: killed: SIGSEGV: transient children are not restarted after a normal end; it stays ",
        "down; mend the cause, then start it: actorctl start /root/sub.",
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_sentence(case):
    known, verdict, *words = TABLE[case]
    found = why(known)
    assert verdict is found.verdict
    sentence = found.sentence(known.node.path)
    assert "".join(words) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
