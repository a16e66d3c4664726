"""Portable: whatever could not work in a spawned process is told before the spawn, in one line with its remedy."""

from __future__ import annotations

import asyncio
import functools
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import types
from dataclasses import replace
from multiprocessing import Pipe

import pytest

from actors import Actor, ActorRef, Message, UsageError, handles
from supervisor import ChildSpec, InvalidSpec, StartFailed, Supervisor, SupervisorSpec
from supervisor.arguments import pickled
from supervisor.spawnable import check_importable, check_main_guard, check_module
from supervisor.spawnable.patches import check_patches
from supervisor.spawnable.program import check_first_start, meant_for_multiprocessing
from tests.support.actors import Common, Echo, Puppet
from tests.support.waiting import DEADLINE, ROOT


class Keeper(Actor):
    def __init__(self, *args: object, **kwargs: object) -> None:
        pass


class Twin(Actor):
    pass


FirstTwin = Twin


class Twin(Actor):
    pass


class Outer:
    class Inner(Actor):
        pass


# ---- in this process


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((lambda: None,), {}, ["args[0] of Keeper", "a function"]),
        ((1, threading.Lock()), {}, ["args[1] of Keeper", "a lock"]),
        ((), {"log": io.StringIO, "file": sys.stdout}, ["file of Keeper", "TextIOWrapper|EncodedFile"]),
        (((yes for yes in ()),), {}, ["args[0] of Keeper", "a generator"]),
    ],
    ids=["function", "lock", "file", "generator"],
)
def test_arguments_that_cannot_be_pickled(args, kwargs, words):
    """The argument is named, and what to do instead."""
    with pytest.raises(UsageError) as caught:
        ChildSpec(Keeper, args=args, kwargs=kwargs)
    for word in words:
        assert any(choice in str(caught.value) for choice in word.split("|")), str(caught.value)
    assert "in on_start" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_that_mean_nothing_elsewhere():
    """They can be pickled: a number of a descriptor, and a queue of which each process would have its own."""
    ours, theirs = Pipe()
    with ours, theirs, pytest.raises(UsageError, match=r"args\[0\] of Keeper, a Connection, .* open it in on_start"):
        ChildSpec(Keeper, args=(ours,))
    with pytest.raises(UsageError, match=r"args\[1\] of Keeper, a list, .*an asyncio\.Queue serves the event loop"):
        ChildSpec(Keeper, args=(1, [asyncio.Queue()]))


class Half:
    """Pickles alone and not with another of its kind."""

    count = 0

    def __reduce__(self):
        Half.count += 1
        if Half.count % 3 == 2:
            raise ValueError("not two of us")
        return Half, ()


class Needs(Actor):
    def __init__(self, path: str, *, token: str = "s3cret") -> None:
        self.path = path


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        (("a", "b"), {}, "too many positional arguments"),
        ((), {"token": "t0ken"}, "missing a required argument: 'path'"),
        (("a",), {"size": "t0ken"}, "got an unexpected keyword argument 'size'"),
    ],
)
def test_arguments_that_do_not_fit(args, kwargs, words):
    """The call that `__init__` takes is shown, no value of it is."""
    with pytest.raises(UsageError) as caught:
        ChildSpec(Needs, args=args, kwargs=kwargs)
    assert f"args and kwargs do not fit Needs.__init__(self, path, *, token=...): {words}" == str(caught.value)


def test_arguments_that_fit_no_more(monkeypatch):
    """What `__init__` takes is read anew for each spec; where its code does not say it, as inspect does."""
    ChildSpec(Needs, args=("a",))
    monkeypatch.setattr(Needs, "__init__", lambda self: None)
    with pytest.raises(UsageError, match="too many positional arguments"):
        ChildSpec(Needs, args=("a",))
    monkeypatch.setattr(Needs, "__init__", functools.partialmethod(lambda self, path, token: None, "a"))
    with pytest.raises(UsageError, match="too many positional arguments"):
        ChildSpec(Needs, args=("b", "c"))


def test_arguments_that_are_lacking():
    """A spec without any may be what `named` gives arguments to; in a tree it is refused."""
    spec = ChildSpec(Needs)
    assert ("a",) == spec.named("one", "a").args
    with pytest.raises(
        InvalidSpec, match=r"children\[0\]\.args: .*missing a required argument: 'path', got '0 by place and 0 by name'"
    ):
        Supervisor(spec)


def test_arguments_of_an_actor_that_takes_none():
    """It has no `__init__`."""
    with pytest.raises(UsageError, match="Twin takes no arguments"):
        ChildSpec(Twin, args=(1,))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"args": "path"}, "args of Needs must be a tuple"),
        ({"kwargs": [1]}, "mapping"),
        ({"kwargs": {1: 2}}, "mapping"),
    ],
)
def test_arguments_in_the_wrong_container(given, words):
    """A text is no tuple of letters; a list, as a configuration file has it, becomes one."""
    with pytest.raises(UsageError, match=words):
        ChildSpec(Needs, **given)
    assert ("path",) == ChildSpec(Needs, args=["path"]).args


def test_no_secret_is_shown():
    """Neither arguments nor the environment stand in a repr or an error."""
    spec = ChildSpec(Needs, args=("t0ken",), kwargs={"token": "t0ken"}, env={"TOKEN": "t0ken"})
    tree = SupervisorSpec(spec, SupervisorSpec(spec, name="inner"))
    for shown in (spec, tree):
        assert "t0ken" not in repr(shown)
        assert "t0ken" not in str(shown)
    for broken in (
        {"env": {"": "t0ken"}},
        {"env": {"A=B": "t0ken"}},
        {"env": {"LD_X": "t0ken"}},
        {"env": {"TOKEN": b"t0ken"}},
        {"env": ["t0ken"]},
    ):
        with pytest.raises(InvalidSpec) as caught:
            Supervisor(replace(spec, **broken))
        assert "t0ken" not in str(caught.value)


def loose(**members):
    """A module that is loaded and that no finder finds."""
    module = types.ModuleType("nowhere.found")
    for name, value in members.items():
        value.__module__, value.__qualname__ = "nowhere.found", name
        setattr(module, name, value)
    return module


def test_a_module_that_no_other_process_finds(monkeypatch):
    """As in pytest's importlib mode without `pythonpath`: told at the spec, with the remedy."""
    actor, option = type("Lost", (Actor,), {}), type("Option", (), {})
    monkeypatch.setitem(sys.modules, "nowhere", types.ModuleType("nowhere"))
    monkeypatch.setitem(sys.modules, "nowhere.found", loose(Lost=actor, Option=option))
    remedy = r"nothing on sys\.path leads there.*holds nowhere.*pythonpath = \[\"\.\"\]"
    with pytest.raises(UsageError, match=f"Lost is defined in nowhere.found, .*{remedy}"):
        ChildSpec(actor)
    with pytest.raises(UsageError, match=rf"args\[1\] of Keeper, an Option, cannot travel: Option .*{remedy}"):
        ChildSpec(Keeper, args=(1, option()))
    with pytest.raises(UsageError, match=rf"args\[0\] of Keeper, a list, cannot travel: Option .*{remedy}"):
        ChildSpec(Keeper, args=([{"deep": option}],))


def test_a_module_beside_a_package_of_the_same_name(monkeypatch, tmp_path):
    """What is loaded as `tests` here is another folder than the one that a process finds under that name."""
    (tmp_path / "late_one.py").write_text("")
    loaded = types.ModuleType("tests")
    loaded.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "tests", loaded)
    with pytest.raises(UsageError, match="It is defined in tests.late_one"):
        check_module("tests.late_one", "It")
    check_module("tests.supervisor.test_spawnable", "Keeper")
    check_module("json.decoder", "JSONDecoder")


class Where(Message[str]):
    pass


class Forwarder(Actor):
    def __init__(self, other: ActorRef, *, more: dict[str, ActorRef]) -> None:
        self.other = other
        self.more = more

    @handles
    def where(self, msg: Where) -> str:
        return f"{self.other.call(Echo('through'))} {self.more['a'].path}"


@pytest.mark.processes
@pytest.mark.parametrize("spares", [0, 1])
async def test_a_ref_among_the_arguments(spares):
    """It arrives as a ref that sends, also in the next life."""
    async with Supervisor(ChildSpec(Puppet, name="a"), spares=spares) as root:
        spec = ChildSpec(Forwarder, args=(root["a"],), kwargs={"more": {"a": root["a"]}}, name="b")
        await root.start_child(spec)
        assert "through /root/a" == await root["b"].ask(Where())
        os.kill(next(row.pid for row in root.which_children() if row.name == "b"), signal.SIGKILL)
        assert "through /root/a" == await root["b"].ask(Where())


class Breaks:
    def __reduce__(self):
        return _break, ()


def _break():
    raise RuntimeError("made for another machine")


@pytest.mark.processes
async def test_arguments_that_break_when_they_arrive():
    """The failed start says that it was the arguments, not the module."""
    with pytest.raises(StartFailed, match="unpickling the arguments of Keeper") as caught:
        async with Supervisor(ChildSpec(Keeper, args=(Breaks(),), name="a"), spares=0):
            pass
    assert "made for another machine" in str(caught.value)


def test_arguments_that_only_fail_together():
    """Then the actor is named."""
    with pytest.raises(UsageError, match="the arguments of Keeper cannot be pickled: not two of us"):
        pickled(Keeper, (Half(), Half()), {})


def test_a_class_in_a_function():
    """The function is named, and where to move the class."""

    class Local(Actor):
        pass

    with pytest.raises(UsageError, match=r"defined inside test_a_class_in_a_function\(\).*top level of"):
        ChildSpec(Local)


def test_a_name_that_was_given_again():
    """A spawned process would import another class."""
    with pytest.raises(UsageError, match="is not the class of that name any more"):
        ChildSpec(FirstTwin)
    assert ChildSpec(Twin).actor is Twin


def test_what_can_be_imported():
    """Top level, inside a class, from another module."""
    for actor in (Puppet, Common, Outer.Inner, Keeper):
        check_importable(actor)


def test_pytest_is_no_daemon_without_a_guard():
    """Whatever runs the tests imports nothing again."""
    check_main_guard()


def test_a_worker_thread_of_pytest():
    """The main thread is what counts."""
    failures = []

    def look():
        try:
            check_main_guard()
        except UsageError as error:
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert [] == failures


# ---- as programs


ACTOR = """
import asyncio
import threading
import types
from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor

class Echo(Message[str]):
    text: str

class Parrot(Actor):
    @handles
    def echo(self, msg: Echo) -> str:
        return msg.text

async def main():
    async with Supervisor(ChildSpec(Parrot, name="parrot"), spares=0) as root:
        print("SAID", await root["parrot"].ask(Echo("hello")))
"""

GUARDED = """
if __name__ == "__main__":
    asyncio.run(main())
"""


def run(tmp_path, *args, stdin=None):
    """Run Python in that directory: exit code, output, errors."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(
        [sys.executable, *args],
        cwd=tmp_path,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def write(tmp_path, name, *parts):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(textwrap.dedent(part) for part in parts))
    return str(path)


def last_line(err):
    return err.strip().splitlines()[-1]


pytestmark = pytest.mark.processes

GOOD_ENDS = {
    "guard": GUARDED,
    "guard turned around": 'if "__main__" == __name__:\n    asyncio.run(main())\n',
    "guard as an expression": 'asyncio.run(main()) if __name__ == "__main__" else None\n',
    "guard by and": '__name__ == "__main__" and asyncio.run(main())\n',
    "guard in a try": 'try:\n    if __name__ == "__main__":\n        asyncio.run(main())\nfinally:\n    pass\n',
    "guard with more": 'import sys\nif __name__ == "__main__" and sys.argv:\n    asyncio.run(main())\n',
    "function in a guard": "def start():\n    asyncio.run(main())\n" + 'if __name__ == "__main__":\n    start()\n',
    "worker thread": (
        'if __name__ == "__main__":\n'
        "    thread = threading.Thread(target=lambda: asyncio.run(main()))\n"
        "    thread.start()\n"
        "    thread.join()\n"
    ),
    "try in a guard": (
        'if __name__ == "__main__":\n    try:\n        asyncio.run(main())\n    finally:\n        print("over")\n'
    ),
}


@pytest.mark.parametrize("end", list(GOOD_ENDS))
def test_a_correct_script(tmp_path, end):
    """A script with a guard runs, wherever its loop runs."""
    code, out, err = run(tmp_path, write(tmp_path, "daemon.py", ACTOR, GOOD_ENDS[end]))
    assert (0, "") == (code, err)
    assert "SAID hello" in out


AT_THE_TOP = """
from supervisor import FunctionSpec, TaskSpec
from supervisor.spawnable import check_named

def work():
    pass

async def look():
    pass

SPECS = ChildSpec(Parrot, name="parrot"), FunctionSpec(work), TaskSpec(look)
check_named(Echo)
check_named(work)
"""


@pytest.mark.parametrize("args", [("mod.py",), ("-m", "mod")], ids=["script", "module"])
def test_specs_at_the_top_of_the_main_file(tmp_path, args):
    """They are made anew in each process that imports it."""
    write(tmp_path, "mod.py", ACTOR, AT_THE_TOP, GUARDED)
    code, out, err = run(tmp_path, *args)
    assert (0, "") == (code, err)
    assert "SAID hello" in out.splitlines()


def test_as_a_module(tmp_path):
    """Python -m mod, with its guard."""
    write(tmp_path, "mod.py", ACTOR, GUARDED)
    code, out, err = run(tmp_path, "-m", "mod")
    assert (0, "") == (code, err)
    assert "SAID hello" in out.splitlines()


@pytest.mark.parametrize("end", [GUARDED, "asyncio.run(main())"], ids=["guard", "no guard"])
def test_as_a_package(tmp_path, end):
    """Python -m pkg: multiprocessing leaves __main__.py alone, so it needs no guard; the actor lives elsewhere."""
    write(tmp_path, "pkg/__init__.py", "")
    write(tmp_path, "pkg/tree.py", ACTOR)
    write(tmp_path, "pkg/__main__.py", "import asyncio\nfrom pkg.tree import main\n" + end)
    code, out, err = run(tmp_path, "-m", "pkg")
    assert (0, "") == (code, err)
    assert "SAID hello" in out.splitlines()


def test_an_actor_in_the_main_file_of_a_package(tmp_path):
    """That file is not imported by a spawned process, so the class would not be found: told before the spawn."""
    write(tmp_path, "pkg/__init__.py", "")
    write(tmp_path, "pkg/__main__.py", ACTOR, GUARDED)
    code, out, err = run(tmp_path, "-m", "pkg")
    assert 1 == code
    assert last_line(err).startswith("actors.errors.UsageError: "), err
    assert "Parrot" in last_line(err)
    assert "" == out


def test_a_missing_guard(tmp_path):
    """File, line and remedy in the one line that a beginner reads; nothing was started."""
    path = write(tmp_path, "daemon.py", ACTOR, "\nasyncio.run(main())\n")
    code, out, err = run(tmp_path, path)
    line = 1 + (tmp_path / "daemon.py").read_text().splitlines().index("asyncio.run(main())")
    assert (1, "") == (code, out)
    assert last_line(err) == (
        f"actors.errors.UsageError: daemon.py, line {line}: this starts the supervisor whenever the file is imported, "
        "and the processes of actors defined in it import it; put it under "
        '`if __name__ == "__main__":`, or move the actors elsewhere'
    )


def test_a_missing_guard_as_a_module(tmp_path):
    """The same for python -m mod."""
    write(tmp_path, "mod.py", ACTOR, "\nasyncio.run(main())\n")
    code, out, err = run(tmp_path, "-m", "mod")
    assert (1, "") == (code, out)
    assert "mod.py, line" in last_line(err)
    assert 'if __name__ == "__main__":' in last_line(err)


def test_a_guard_around_something_else(tmp_path):
    """It is the statement that starts the daemon that needs it."""
    end = "\nif __name__ == '__main__':\n    pass\nwith open(__file__) as file:\n    asyncio.run(main())\n"
    code, out, err = run(tmp_path, write(tmp_path, "daemon.py", ACTOR, end))
    assert (1, "") == (code, out)
    assert "put it under" in last_line(err)


def test_a_missing_guard_in_a_worker_thread(tmp_path):
    """The main thread waits at the top level for the thread that runs the loop."""
    end = "\nthread = threading.Thread(target=lambda: asyncio.run(main()))\nthread.start()\nthread.join()\n"
    _, out, err = run(tmp_path, write(tmp_path, "daemon.py", ACTOR, end))
    assert "SAID" not in out
    assert "put it under" in err


def test_a_command(tmp_path):
    """Python -c: an actor that lives in the command cannot be found again."""
    code, out, err = run(tmp_path, "-c", ACTOR + "\nasyncio.run(main())\n")
    assert (1, "") == (code, out)
    assert last_line(err) == (
        "actors.errors.UsageError: Parrot is defined in an interactive session or a -c command, which a spawned "
        "process cannot import; put it into a file"
    )


def test_a_program_of_a_descriptor(tmp_path):
    """Python /dev/fd/3: another process has another file there, or waits for a pipe."""
    write(tmp_path, "daemon.py", ACTOR, "\nif __name__ == '__main__':\n    asyncio.run(main())\n")
    again = "fd = os.dup(os.open('daemon.py', os.O_RDONLY)); os.set_inheritable(fd, True)"
    code, out, err = run(
        tmp_path, "-c", f"import os, sys; {again}; os.execv(sys.executable, [sys.executable, f'/dev/fd/{{fd}}'])"
    )
    assert (1, "") == (code, out)
    assert "Parrot is defined in /dev/fd/" in last_line(err)
    assert "which is another file, or none, in a spawned process; put it into a file with a name" in last_line(err)


def test_a_command_with_an_actor_from_elsewhere(tmp_path):
    """Nothing is imported again, so it runs."""
    write(tmp_path, "tree.py", ACTOR)
    code, out, err = run(tmp_path, "-c", "import asyncio, tree; asyncio.run(tree.main())")
    assert (0, "") == (code, err)
    assert "SAID hello" in out.splitlines()


UNDER_A_GUARD = textwrap.indent(ACTOR + "asyncio.run(main())\n", "    ")
DEFINED_WHERE_NOTHING_IMPORTS_IT = {
    "a class": f'if __name__ == "__main__":\n{UNDER_A_GUARD}',
    "a class, and more conditions": f"import sys\nif sys.argv and '__main__' == __name__:\n{UNDER_A_GUARD}",
    "exec": 'if __name__ == "__main__":\n    exec(compile(open("app.py").read(), "app.py", "exec"))\n',
    "exec of a text": 'if __name__ == "__main__":\n    exec(open("app.py").read())\n',
}


@pytest.mark.parametrize("way", DEFINED_WHERE_NOTHING_IMPORTS_IT)
def test_a_class_that_is_defined_under_the_guard(tmp_path, way):
    """A new process imports the file and does not define it: told at the spec, not by the first start."""
    write(tmp_path, "app.py", ACTOR, GUARDED)
    code, out, err = run(tmp_path, write(tmp_path, "daemon.py", DEFINED_WHERE_NOTHING_IMPORTS_IT[way]))
    assert (1, "") == (code, out)
    assert last_line(err) == (
        "actors.errors.UsageError: Parrot is not there in a new process, which imports daemon.py: it is defined under "
        '`if __name__ == "__main__":`, or by code that is run there; move it to the top level of that file, or into a '
        "module of its own"
    ), err


def test_an_argument_and_a_function_that_are_defined_under_the_guard(tmp_path):
    """The same for all that a process looks for by its name."""
    path = write(
        tmp_path,
        "daemon.py",
        ACTOR.replace("class Parrot(Actor):", "class Parrot(Actor):\n    def __init__(self, o): pass"),
        """
        from actors import job
        from supervisor import FunctionSpec
        from supervisor.spawnable import check_named
        if __name__ == "__main__":
            class Options: pass
            def work(): pass
            @job
            def parse() -> None: pass
            for use in (
                lambda: ChildSpec(Parrot, args=(Options(),)), lambda: FunctionSpec(work), lambda: check_named(parse)
            ):
                try:
                    use()
                except Exception as error:
                    print(error)
        """,
    )
    code, out, err = run(tmp_path, path)
    assert (0, "") == (code, err)
    assert ["Options", "work", "parse"] == [
        name for line in out.splitlines() for name in ("Options", "work", "parse") if f"{name} is not there in" in line
    ], out


EXECUTED = {
    "at the top": 'exec(compile(open("app.py").read(), "app.py", "exec"))\n',
    "as a text": 'exec(open("app.py").read())\n',
    "below other code": "\n" * 3 + "def other():\n" + "    pass\n" * 30 + 'exec(open("app.py").read())\n',
}


@pytest.mark.parametrize("way", EXECUTED)
def test_a_program_that_exec_runs(tmp_path, way):
    """A new process runs it, too, and stops at its guard."""
    write(tmp_path, "app.py", ACTOR, GUARDED)
    code, out, err = run(tmp_path, write(tmp_path, "daemon.py", EXECUTED[way]))
    assert (0, "") == (code, err)
    assert "SAID hello" in out.splitlines()


def test_a_program_without_a_guard_that_exec_runs(tmp_path):
    """It would start its daemon in each process: its own file and line are named."""
    write(tmp_path, "app.py", ACTOR, "\nasyncio.run(main())\n")
    code, out, err = run(tmp_path, write(tmp_path, "daemon.py", EXECUTED["at the top"]))
    line = 1 + (tmp_path / "app.py").read_text().splitlines().index("asyncio.run(main())")
    assert (1, "") == (code, out)
    assert f"app.py, line {line}: this starts the supervisor whenever the file is imported" in last_line(err)


def test_a_program_that_is_not_there_any_more(tmp_path):
    """Its processes would import it: its path is told, and not that it was never a file."""
    path = write(tmp_path, "daemon.py", ACTOR, "\nimport os\nos.unlink(__file__)\nChildSpec(Parrot)\n")
    code, _, err = run(tmp_path, path)
    assert 1 == code
    assert f"Parrot is defined in {path}, which a spawned process would import, and which is not there" in last_line(
        err
    )


def test_an_interactive_session(tmp_path):
    """The same words as for a command."""
    _, _, err = run(tmp_path, "-i", "-q", stdin=ACTOR.replace("\n\n", "\n\n\n") + "\nasyncio.run(main())\n")
    assert "Parrot is defined in an interactive session" in err


@pytest.mark.parametrize("way", [("-",), ("-c",), ("-m", "pkg")], ids=" ".join)
def test_an_argument_from_a_main_that_no_process_imports(tmp_path, way):
    """The actor can be imported, the class of its argument cannot: it is named, nothing was started."""
    write(
        tmp_path,
        "act.py",
        ACTOR.replace("class Parrot(Actor):", "class Parrot(Actor):\n    def __init__(self, o): pass"),
    )
    code = "from act import *\nclass Options: pass\nChildSpec(Parrot, args=(Options(),))"
    write(tmp_path, "pkg/__init__.py", "")
    write(tmp_path, "pkg/__main__.py", code)
    args = (*way, code) if way == ("-c",) else way
    status, _, err = run(tmp_path, *args, stdin=code if way == ("-",) else None)
    assert 1 == status
    assert last_line(err).startswith(
        "actors.errors.UsageError: args[0] of Parrot, an Options, cannot travel: Options is"
    ), err


@pytest.mark.parametrize("file", ["actors.py", "actors/__init__.py"])
def test_a_module_of_the_users_named_actors(tmp_path, file):
    """Its file is named in the first error, with the remedy."""
    own = write(tmp_path, file, "from actors import Actor\nclass Mine(Actor): pass\n")
    path = write(tmp_path, "main.py", "from supervisor import Supervisor\nfrom actors import Mine\n")
    code, _, err = run(tmp_path, path)
    assert 1 == code
    assert last_line(err) == (
        f"ImportError: supervisor needs its own package named actors, but {own} takes that name; rename that file, as "
        f"my_actors.py for instance, or take its directory off sys.path"
    )


def test_a_name_that_is_taken_later(tmp_path):
    """A folder put on sys.path at run time would shadow the library in new processes only."""
    write(tmp_path, "act.py", ACTOR)
    own = write(tmp_path, "plugins/actors.py", "")
    code = "import sys, act\nsys.path.insert(0, 'plugins')\nact.ChildSpec(act.Parrot)"
    status, _, err = run(tmp_path, "-c", code)
    assert 1 == status
    assert "a new process would import" in last_line(err)
    assert os.path.relpath(own, tmp_path) in last_line(err)


def test_a_script_from_stdin(tmp_path):
    """There is no file to import either."""
    code, out, err = run(tmp_path, "-", stdin=ACTOR + "\nasyncio.run(main())\n")
    assert (1, "") == (code, out)
    assert "put it into a file" in last_line(err)


def test_a_supervisor_at_the_top_of_an_imported_module(tmp_path):
    """A module that starts its daemon when it is imported is found out in the process that imports it."""
    write(tmp_path, "tree.py", ACTOR, "\nasyncio.run(main())\n")
    path = write(tmp_path, "daemon.py", 'if __name__ == "__main__":\n    import tree\n')
    code, out, err = run(tmp_path, path)
    assert 1 == code
    assert "SAID" not in out
    assert "put the start under" in err


def test_pytest_itself(tmp_path, monkeypatch):
    """A test that starts a supervisor needs nothing special."""
    write(tmp_path, "tree.py", ACTOR)
    write(tmp_path, "test_tree.py", "import asyncio, tree\ndef test_it():\n    asyncio.run(tree.main())\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    code, out, _ = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tree.py")
    assert 0 == code, out


# ---- frozen programs


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ([], False),
        (["--serve", "-c", "app.toml"], False),
        (["--multiprocessing-fork", "tracker_fd=5", "pipe_handle=7"], True),
        (["run", "--multiprocessing-fork"], False),
        (["-B", "-S", "-I", "-c", "from multiprocessing.resource_tracker import main;main(4)"], True),
        (["-c"], False),
    ],
)
def test_a_command_line_meant_for_multiprocessing(arguments, meant):
    """The sure sign that a frozen program was started for one of its own processes."""
    assert meant is meant_for_multiprocessing(["program", *arguments])


def test_a_frozen_program_that_forgot_freeze_support(monkeypatch):
    """The second start of it is refused, before it starts a third."""
    monkeypatch.setattr(sys, "argv", ["program", "--multiprocessing-fork", "tracker_fd=5", "pipe_handle=7"])
    check_first_start()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(UsageError, match=r"call multiprocessing.freeze_support\(\) first"):
        check_first_start()


def test_an_actor_in_the_main_script_of_a_frozen_program(monkeypatch):
    """Its processes run the script as far as freeze_support, and find the class there."""
    main = types.ModuleType("__main__")
    main.Mine = type("Mine", (Actor,), {"__module__": "__main__"})
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(UsageError, match="interactive session"):
        check_importable(main.Mine)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    check_importable(main.Mine)


@pytest.mark.parametrize(
    ("patched", "refused"),
    [
        ((), None),
        (("select", "os", "subprocess", "_thread", "queue"), None),
        (("select", "os", "queue"), "gevent has patched select, os, but not thread, .* without thread=False"),
        (("select", "_thread"), "gevent has patched select, but not queue, .* without queue=False"),
        (("os", "_thread", "queue"), "gevent has patched os, but not select, .* without select=False"),
    ],
)
def test_what_gevent_has_patched_fits_together(monkeypatch, patched, refused):
    """Greenlets that switch in system calls beside real threads are refused before anything hangs."""
    monkey = types.ModuleType("gevent.monkey")
    monkey.is_module_patched = patched.__contains__
    monkeypatch.setitem(sys.modules, "gevent.monkey", monkey)
    if refused is None:
        check_patches()
    else:
        with pytest.raises(UsageError, match=refused):
            check_patches()


@pytest.mark.parametrize("patched", [(), ("MySQLdb",), ("thread",), ("os", "thread", "select")])
def test_what_eventlet_has_patched(monkeypatch, patched):
    """A tree does not run on its system calls and threads."""
    patcher = types.ModuleType("eventlet.patcher")
    patcher.is_monkey_patched = patched.__contains__
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    if "thread" in patched:
        with pytest.raises(UsageError, match=r"eventlet has patched .*thread.* run the tree in a process without"):
            check_patches()
    else:
        check_patches()
