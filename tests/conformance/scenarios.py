"""What is compared with OTP: trees, and what happens to them. One table; both supervisors run it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Worker:
    """A child that does what the table says.

    Attributes:
        fails: which of its starts fail, counted from 1; a string "2-" means that one and all that follow.
        restless: whether it goes on failing for ever: the tree comes to rest without it.
        on_stop: what it does when asked to stop: obey, ignore, crash.
        kills: what it kills while it starts: (number of the start, path of the victim, how).
    """

    name: str
    restart: str = "permanent"
    shutdown: float = 5.0
    significant: bool = False
    fails: tuple[int | str, ...] = ()
    restless: bool = False
    on_stop: str = "obey"
    kills: tuple[tuple[int, str, str], ...] = ()


@dataclass(frozen=True)
class Tree:
    """A supervisor and its children."""

    name: str
    children: tuple[Worker | Tree, ...] = ()
    strategy: str = "one_for_one"
    intensity: int = 10
    period: int = 3600
    auto_shutdown: str = "never"
    restart: str = "permanent"
    shutdown: float = float("inf")
    significant: bool = False


@dataclass(frozen=True)
class Scenario:
    """A tree, and a script of happenings. After each of them everything comes to rest.

    Steps:
        ("kill", path, how): a worker ends; how: normal, shutdown, crash, kill.
        ("kill_together", supervisor, ((path, how), ...)): all are dead before the supervisor hears of the first.
        ("start_child", supervisor, child), ("terminate_child" | "restart_child" | "delete_child", supervisor, name)
        ("wait", seconds): by the clock of the intensity's window.
        ("stop",): the whole tree is asked to stop.

    Attributes:
        processes: whether it is also run with real processes.
        differs: why ours differs from OTP's, empty when it does not.
        ours: if it differs, all that happens in ours.
    """

    name: str
    tree: Tree
    steps: tuple[tuple[Any, ...], ...] = ()
    processes: bool = False
    differs: str = ""
    ours: tuple[str, ...] = field(default=(), repr=False)


def root(*children: Worker | Tree, **terms: Any) -> Tree:
    return Tree("root", children, **terms)


def tree(name: str, *children: Worker | Tree, **terms: Any) -> Tree:
    return Tree(name, children, **terms)


def transient(name: str, **terms: Any) -> Worker:
    return Worker(name, restart="transient", **terms)


def temporary(name: str, **terms: Any) -> Worker:
    return Worker(name, restart="temporary", **terms)


A, B, C, D = (Worker(name) for name in "abcd")
ALL, REST = "one_for_all", "rest_for_one"
STOP = ("stop",)

AT_ONCE = "a death is heard of at once: OTP hears of it when the start under way is over"
NOT_STARTED = "one death too many while the supervisor starts is a failed start: OTP finishes the start, then gives up"
"""What is meant to differ; the words are those of the docs."""

BAD_ENDS = (("kill", "a", "crash"), ("kill", "a", "kill"))
GOOD_ENDS = (("kill", "a", "normal"), ("kill", "a", "shutdown"))


SCENARIOS = (
    # -- starting and stopping
    Scenario("starts in order, stops in reverse", root(A, B, C), (STOP,), processes=True),
    Scenario(
        "a tree starts depth first and stops the other way round",
        root(A, tree("m", B, tree("n", C, D)), Worker("z")),
        (STOP,),
        processes=True,
    ),
    Scenario("a failing first start stops those before it", root(A, B, Worker("c", fails=(1,)), D), processes=True),
    Scenario("a failing first start below fails the whole tree", root(A, tree("m", B, Worker("c", fails=(1,))), D)),
    Scenario("a transient child's first start is not repeated either", root(A, transient("b", fails=(1,)))),
    Scenario("two children of one name", root(A, B, A)),
    Scenario(
        "brutal kill, a deaf child and one that breaks while stopping",
        root(
            Worker("a", shutdown=0.0),
            Worker("b", shutdown=0.05, on_stop="ignore"),
            Worker("c", on_stop="crash"),
            Worker("d", shutdown=float("inf")),
        ),
        (("terminate_child", "", "c"), STOP),
    ),
    # -- who is restarted
    Scenario("permanent", root(A, B), BAD_ENDS + GOOD_ENDS),
    Scenario("transient, bad ends", root(transient("a"), B), BAD_ENDS, processes=True),
    Scenario("transient, normal end", root(transient("a"), B), (("kill", "a", "normal"),), processes=True),
    Scenario("transient, shutdown", root(transient("a"), B), (("kill", "a", "shutdown"),)),
    Scenario(
        "temporary, every end",
        root(*(temporary(name) for name in "abcd")),
        (("kill", "a", "crash"), ("kill", "b", "kill"), ("kill", "c", "normal"), ("kill", "d", "shutdown")),
    ),
    # -- who else is restarted
    Scenario("one_for_one, the middle one", root(A, B, C), (("kill", "b", "crash"),)),
    Scenario("one_for_all, the middle one", root(A, B, C, strategy=ALL), (("kill", "b", "crash"),), processes=True),
    Scenario("rest_for_one, the middle one", root(A, B, C, D, strategy=REST), (("kill", "b", "kill"),), processes=True),
    Scenario("rest_for_one, first and last", root(A, B, C, strategy=REST), (("kill", "c", "kill"), *BAD_ENDS)),
    Scenario(
        "one_for_all, a temporary sibling is dropped",
        root(A, temporary("b"), C, strategy=ALL),
        (("kill", "c", "crash"), ("kill", "a", "crash"), ("restart_child", "", "b")),
    ),
    Scenario(
        "rest_for_one, a temporary sibling is dropped",
        root(temporary("z"), A, temporary("b"), C, strategy=REST),
        (("kill", "a", "crash"), ("kill", "c", "crash")),
    ),
    Scenario(
        "one_for_all, a temporary or a normal end concerns no other child",
        root(A, temporary("b"), transient("c"), strategy=ALL),
        (("kill", "b", "crash"), ("kill", "c", "normal")),
    ),
    Scenario(
        "one_for_all starts those who were down before",
        root(A, transient("b"), C, strategy=ALL),
        (("kill", "b", "normal"), ("terminate_child", "", "c"), ("kill", "a", "crash")),
    ),
    Scenario(
        "rest_for_one starts those after it who were down before",
        root(A, B, C, D, strategy=REST),
        (("terminate_child", "", "a"), ("terminate_child", "", "d"), ("kill", "b", "crash")),
    ),
    Scenario(
        "one_for_all, a child added at run time is one of them",
        root(A, strategy=ALL),
        (("start_child", "", B), ("start_child", "", temporary("c")), ("kill", "a", "crash"), ("kill", "b", "crash")),
    ),
    Scenario(
        "one_for_all, a deaf sibling is killed and started again",
        root(A, Worker("b", shutdown=0.05, on_stop="ignore"), Worker("c", on_stop="crash"), strategy=ALL),
        (("kill", "a", "crash"),),
    ),
    # -- several deaths at once
    Scenario(
        "two at once, one_for_one",
        root(A, B, C),
        (("kill_together", "", (("b", "crash"), ("a", "kill"))),),
    ),
    Scenario(
        "two at once, one_for_one, one restart too many",
        root(A, B, C, intensity=1),
        (("kill_together", "", (("b", "crash"), ("a", "kill"))),),
        differs=AT_ONCE,
        ours=(
            "step boot",
            "start a",
            "start b",
            "start c",
            "start root",
            "step kill_together",
            "exit b crashed",
            "exit a killed",
            "give_up root",
            "start b",
            "exit c shutdown",
            "exit b shutdown",
            "exit root shutdown",
        ),
    ),
    Scenario(
        "two at once, one_for_all, count once",
        root(A, B, C, strategy=ALL, intensity=1),
        (("kill_together", "", (("a", "crash"), ("c", "kill"))),),
    ),
    Scenario(
        "two at once, rest_for_one, the later one joins",
        root(A, B, C, D, strategy=REST, intensity=1),
        (("kill_together", "", (("b", "crash"), ("d", "kill"))),),
    ),
    Scenario(
        "two at once, rest_for_one, the later one first",
        root(A, B, C, strategy=REST),
        (("kill_together", "", (("c", "crash"), ("a", "crash"))),),
        differs=AT_ONCE,
        ours=(
            "step boot",
            "start a",
            "start b",
            "start c",
            "start root",
            "step kill_together",
            "exit c crashed",
            "exit a crashed",
            "exit b shutdown",
            "start a",
            "start b",
            "start c",
            "left a up",
            "left b up",
            "left c up",
        ),
    ),
    # -- how often
    Scenario(
        "the second restart is one too many",
        root(A, B, C, intensity=1),
        (("kill", "b", "crash"), ("kill", "b", "crash")),
        processes=True,
    ),
    Scenario("intensity 0", root(A, B, intensity=0), (("kill", "a", "kill"),)),
    Scenario(
        "intensity 0 does not mind ends that lead to no restart",
        root(temporary("a"), transient("b"), C, intensity=0),
        (("kill", "a", "crash"), ("kill", "b", "normal"), ("kill", "c", "normal")),
    ),
    Scenario(
        "all children share the budget",
        root(A, B, C, intensity=2),
        (("kill", "a", "crash"), ("kill", "b", "normal"), ("kill", "c", "kill")),
    ),
    Scenario(
        "a restart of all counts once",
        root(A, B, C, strategy=ALL, intensity=2),
        (("kill", "a", "crash"), ("kill", "b", "crash"), ("kill", "c", "crash")),
    ),
    Scenario(
        "the window slides",
        root(A, intensity=1, period=1),
        (("kill", "a", "crash"), ("wait", 2.5), ("kill", "a", "crash"), ("kill", "a", "crash")),
    ),
    Scenario(
        "giving up drops what was down and forgets nothing else",
        root(A, transient("b"), temporary("c"), D, strategy=REST, intensity=0),
        (("kill", "b", "normal"), ("kill", "c", "kill"), ("kill", "d", "crash")),
    ),
    # -- starts that fail within a restart
    Scenario("a failing restart is tried again", root(A, Worker("b", fails=(2, 3)), C), (("kill", "b", "crash"),)),
    Scenario(
        "every attempt counts",
        root(A, Worker("b", fails=("2-",)), C, intensity=3),
        (("kill", "b", "crash"),),
        processes=True,
    ),
    Scenario(
        "a transient child's failing restart is tried again",
        root(A, transient("b", fails=(2,))),
        (("kill", "b", "kill"),),
    ),
    Scenario(
        "one_for_all, a failing sibling makes all start again",
        root(A, Worker("b", fails=(2,)), C, strategy=ALL),
        (("kill", "c", "crash"),),
    ),
    Scenario(
        "one_for_all, a failing sibling is started once too often",
        root(A, Worker("b", fails=("2-",)), C, strategy=ALL, intensity=2),
        (("kill", "a", "crash"),),
    ),
    Scenario(
        "rest_for_one resumes from the one that failed",
        root(A, B, Worker("c", fails=(2, 3)), D, strategy=REST),
        (("kill", "b", "crash"),),
    ),
    Scenario(
        "rest_for_one, the last one fails until the end",
        root(A, B, Worker("c", fails=("2-",)), strategy=REST, intensity=2),
        (("kill", "a", "crash"),),
    ),
    Scenario(
        "calls are served while a child fails to start for ever",
        root(A, Worker("b", fails=("2-",), restless=True), C, intensity=1_000_000),
        (
            ("kill", "b", "crash"),
            ("restart_child", "", "b"),
            ("delete_child", "", "b"),
            ("kill", "a", "crash"),
            ("start_child", "", D),
            ("terminate_child", "", "b"),
            ("restart_child", "", "b"),
            ("delete_child", "", "b"),
        ),
    ),
    Scenario(
        "a stop is served while a child fails to start for ever",
        root(A, Worker("b", fails=("2-",), restless=True), C, intensity=1_000_000),
        (("kill", "b", "crash"), STOP),
    ),
    # -- trees
    Scenario(
        "a supervisor that gives up is restarted by its parent",
        root(A, tree("m", B, C, intensity=1), D),
        (("kill", "m/b", "crash"), ("kill", "m/c", "crash"), ("kill", "m/c", "kill")),
        processes=True,
    ),
    Scenario(
        "escalation to the top: the product of the intensities",
        root(A, tree("m", B, intensity=1), intensity=1),
        (("kill", "m/b", "crash"),) * 4,
        processes=True,
    ),
    Scenario(
        "a transient supervisor that gives up stays down",
        root(A, tree("m", B, intensity=0, restart="transient"), D, strategy=ALL),
        (("kill", "m/b", "crash"), ("restart_child", "", "m"), ("kill", "m/b", "crash"), ("kill", "a", "crash")),
    ),
    Scenario(
        "a temporary supervisor that gives up is forgotten",
        root(A, tree("m", B, intensity=0, restart="temporary"), D),
        (("kill", "m/b", "crash"), ("restart_child", "", "m"), ("start_child", "", tree("m", C))),
    ),
    Scenario(
        "a restarted supervisor forgets what was added",
        root(tree("m", A, intensity=1)),
        (("start_child", "m", B), ("kill", "m/b", "crash"), ("kill", "m/a", "crash"), ("start_child", "m", B)),
    ),
    Scenario(
        "a subtree is one of all",
        root(A, tree("m", B, tree("n", C)), D, strategy=ALL),
        (("kill", "d", "crash"), ("kill", "m/n/c", "crash")),
    ),
    Scenario(
        "a subtree that gave up takes the rest along",
        root(A, tree("m", B, C, strategy=ALL, intensity=0), D, strategy=REST),
        (("kill", "m/c", "crash"), ("kill", "a", "crash")),
    ),
    Scenario(
        "a supervisor's restart fails with its child's start",
        root(A, tree("m", B, Worker("c", fails=(2, 3)), intensity=0)),
        (("kill", "m/b", "crash"),),
    ),
    Scenario(
        "a subtree is terminated, refused, restarted, deleted",
        root(A, tree("m", B, C)),
        (
            ("delete_child", "", "m"),
            ("terminate_child", "", "m"),
            ("start_child", "", tree("m", D)),
            ("restart_child", "", "m"),
            ("terminate_child", "", "m"),
            ("delete_child", "", "m"),
            ("start_child", "", tree("m", D)),
            ("terminate_child", "m", "d"),
        ),
    ),
    Scenario(
        "a subtree that fails to start is not added",
        root(A),
        (
            ("start_child", "", tree("m", B, Worker("c", fails=(1,)))),
            ("start_child", "", tree("m", B)),
            ("kill", "m/b", "crash"),
        ),
    ),
    # -- calls
    Scenario(
        "terminate, restart, delete, and their refusals",
        root(A, B),
        (
            ("restart_child", "", "a"),
            ("delete_child", "", "a"),
            ("terminate_child", "", "a"),
            ("terminate_child", "", "a"),
            ("start_child", "", A),
            ("restart_child", "", "a"),
            ("start_child", "", A),
            ("terminate_child", "", "a"),
            ("delete_child", "", "a"),
            ("delete_child", "", "a"),
            ("terminate_child", "", "a"),
            ("restart_child", "", "a"),
            ("start_child", "", A),
            STOP,
        ),
        processes=True,
    ),
    Scenario(
        "a start that fails is not added and can be called again",
        root(A),
        (
            ("start_child", "", Worker("b", fails=(1,))),
            ("restart_child", "", "b"),
            ("start_child", "", Worker("b", fails=(1,))),
            STOP,
        ),
    ),
    Scenario(
        "a restart that is called for is not repeated",
        root(A, Worker("b", fails=(2,)), intensity=0),
        (
            ("terminate_child", "", "b"),
            ("restart_child", "", "b"),
            ("delete_child", "", "nobody"),
            ("restart_child", "", "b"),
            ("terminate_child", "", "b"),
            ("delete_child", "", "b"),
        ),
    ),
    Scenario(
        "a terminated temporary child is forgotten",
        root(temporary("a"), B),
        (("terminate_child", "", "a"), ("restart_child", "", "a"), ("start_child", "", temporary("a"))),
    ),
    Scenario(
        "a transient child that ended is restarted by call",
        root(transient("a"), B),
        (("kill", "a", "normal"), ("start_child", "", A), ("restart_child", "", "a"), ("kill", "a", "crash")),
    ),
    Scenario(
        "a transient child that ended is deleted by call",
        root(transient("a"), B),
        (("kill", "a", "shutdown"), ("delete_child", "", "a"), ("start_child", "", A), ("kill", "a", "normal")),
    ),
    Scenario(
        "children added at run time are stopped first",
        root(A, B),
        (("start_child", "", C), ("terminate_child", "", "a"), ("restart_child", "", "a"), STOP),
    ),
    # -- auto_shutdown
    Scenario(
        "any_significant: the first significant end",
        root(A, transient("b", significant=True), temporary("c", significant=True), auto_shutdown="any_significant"),
        (("kill", "b", "crash"), ("kill", "c", "crash")),
    ),
    Scenario(
        "any_significant: others may end",
        root(A, transient("b", significant=True), transient("c"), auto_shutdown="any_significant"),
        (("kill", "c", "normal"), ("kill", "b", "normal")),
    ),
    Scenario(
        "all_significant: the last significant end",
        root(
            A,
            transient("b", significant=True),
            temporary("c", significant=True),
            transient("d", significant=True),
            auto_shutdown="all_significant",
        ),
        (("kill", "c", "kill"), ("kill", "b", "normal"), ("kill", "d", "crash"), ("kill", "d", "shutdown")),
    ),
    Scenario(
        "all_significant: one that was terminated does not count as an end",
        root(
            transient("a", significant=True),
            transient("b", significant=True),
            transient("c", significant=True),
            auto_shutdown="all_significant",
        ),
        (
            ("terminate_child", "", "a"),
            ("kill", "b", "normal"),
            ("terminate_child", "", "c"),
            ("restart_child", "", "a"),
            ("kill", "a", "normal"),
        ),
    ),
    Scenario(
        "auto_shutdown: ends that the supervisor caused do not count",
        root(
            A,
            transient("b", significant=True),
            temporary("c", significant=True),
            strategy=ALL,
            auto_shutdown="any_significant",
        ),
        (("kill", "a", "crash"), ("terminate_child", "", "b")),
    ),
    Scenario(
        "auto_shutdown below: a transient supervisor stays down",
        root(A, tree("m", B, transient("c", significant=True), auto_shutdown="any_significant", restart="transient")),
        (("kill", "m/c", "normal"),),
    ),
    Scenario(
        "auto_shutdown below: a permanent supervisor comes back",
        root(A, tree("m", B, transient("c", significant=True), auto_shutdown="all_significant")),
        (("kill", "m/c", "normal"),),
    ),
    Scenario(
        "auto_shutdown all the way up",
        root(
            A,
            tree(
                "m",
                transient("b", significant=True),
                auto_shutdown="any_significant",
                restart="transient",
                significant=True,
            ),
            auto_shutdown="any_significant",
        ),
        (("kill", "m/b", "normal"),),
    ),
    Scenario(
        "a giving-up transient supervisor is a significant end",
        root(A, tree("m", B, intensity=0, restart="transient", significant=True), auto_shutdown="all_significant"),
        (("kill", "m/b", "crash"),),
    ),
    Scenario("significant under never is refused", root(A, transient("b", significant=True))),
    Scenario(
        "permanent and significant is refused", root(A, Worker("b", significant=True), auto_shutdown="any_significant")
    ),
    Scenario(
        "significant children at run time",
        root(A, auto_shutdown="any_significant"),
        (
            ("start_child", "", Worker("b", significant=True)),
            ("start_child", "", transient("c", significant=True)),
            ("kill", "c", "normal"),
        ),
    ),
    # -- a death while others start
    Scenario(
        "a death while a later sibling starts",
        root(A, Worker("b", kills=((1, "a", "crash"),)), C),
        differs=AT_ONCE,
        ours=(
            "step boot",
            "start a",
            "exit a crashed",
            "start b",
            "start a",
            "start c",
            "start root",
            "left a up",
            "left b up",
            "left c up",
        ),
    ),
    Scenario(
        "an earlier sibling dies while the rest is started again",
        root(A, B, Worker("c", kills=((2, "a", "crash"),)), D, strategy=REST),
        (("kill", "b", "crash"),),
        differs=AT_ONCE,
        ours=(
            "step boot",
            "start a",
            "start b",
            "start c",
            "start d",
            "start root",
            "step kill",
            "exit b crashed",
            "exit d shutdown",
            "exit c shutdown",
            "start b",
            "exit a crashed",
            "exit b shutdown",
            "start a",
            "start b",
            "start c",
            "start d",
            "left a up",
            "left b up",
            "left c up",
            "left d up",
        ),
    ),
    Scenario(
        "a sibling dies while all are started again",
        root(A, B, Worker("c", kills=((2, "a", "crash"),)), strategy=ALL),
        (("kill", "b", "crash"),),
        differs=AT_ONCE,
        ours=(
            "step boot",
            "start a",
            "start b",
            "start c",
            "start root",
            "step kill",
            "exit b crashed",
            "exit c shutdown",
            "exit a shutdown",
            "start a",
            "start b",
            "exit a crashed",
            "exit b shutdown",
            "start a",
            "start b",
            "start c",
            "left a up",
            "left b up",
            "left c up",
        ),
    ),
    Scenario(
        "a significant end while a later sibling starts",
        root(
            A,
            transient("b", significant=True),
            Worker("c", kills=((1, "b", "normal"),)),
            D,
            auto_shutdown="any_significant",
        ),
    ),
    Scenario(
        "a normal and a temporary end while a later sibling starts",
        root(
            transient("a"), temporary("b"), Worker("c", kills=((1, "a", "normal"), (1, "b", "crash"))), D, strategy=ALL
        ),
        (("kill", "d", "crash"),),
    ),
    Scenario(
        "one death too many while a later sibling starts",
        root(A, Worker("b", kills=((1, "a", "crash"),)), C, intensity=0),
        differs=NOT_STARTED,
        ours=(
            "step boot",
            "start a",
            "exit a crashed",
            "give_up root",
            "fail root",
            "answer start_failed",
        ),
    ),
    # -- what a restarted supervisor remembers
    Scenario(
        "a restarted supervisor starts what was terminated or deleted",
        root(tree("m", A, B, C, intensity=0)),
        (
            ("terminate_child", "m", "a"),
            ("terminate_child", "m", "b"),
            ("delete_child", "m", "b"),
            ("kill", "m/c", "crash"),
        ),
    ),
    Scenario(
        "a call on a supervisor that is down",
        root(A, tree("m", B)),
        (
            ("terminate_child", "", "m"),
            ("terminate_child", "m", "b"),
            ("restart_child", "m", "b"),
            ("start_child", "m", C),
            ("restart_child", "", "m"),
        ),
    ),
    Scenario(
        "a restarted supervisor has its whole budget again",
        root(tree("m", A, intensity=1)),
        (("kill", "m/a", "crash"), ("terminate_child", "", "m"), ("restart_child", "", "m"), ("kill", "m/a", "crash")),
    ),
    Scenario(
        "three levels, the lowest gives up twice",
        root(A, tree("m", B, tree("n", C, intensity=0), D, intensity=1, strategy=REST)),
        (("kill", "m/n/c", "crash"), ("kill", "m/n/c", "crash"), ("kill", "m/n/c", "normal")),
    ),
)
