"""A process is light from CPython 3.14 on: what it does without works as ever when it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.spawning import DEADLINE

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.version_info < (3, 14), reason="before 3.14 a process imports what it always did"),
]

ROOT = Path(__file__).resolve().parents[2]
DAEMON = """
import asyncio
import sys
from supervisor import ChildSpec, Supervisor
import light

async def main():
    async with Supervisor(ChildSpec(light.Light)) as root:
        print(*await root["light"].ask(light.Told()), sep="\\n")

if __name__ == "__main__":
    if "here" in sys.argv:
        print(*light.told(), sep="\\n")
    else:
        asyncio.run(main())
"""

ACTOR = """
import sys
from actors import Actor, Message, handles

class Told(Message[list[str]]):
    of: str = ""

class Other(Message[dict[str, list[int]]]):
    of: str
    count: int = 1

class Light(Actor):
    @handles
    def told(self, msg: Told) -> list[str]:
        return told()

    @handles
    def other(self, msg: Other) -> dict[str, list[int]]:
        return {}
"""

UNUSED = ("_ast", "ast", "base64", "inspect", "json", "locale", "runpy", "subprocess")
LOADED = f"""
def told():
    loaded = [name for name in {UNUSED!r} if name in sys.modules]
    return loaded + [cls.__name__ for cls in object.__subclasses__() if cls.__name__ == "AST"]
"""


def run(tmp_path, source, *words, **files):
    """Run the daemon with that module of the actor's, and other files beside it: the lines that it prints."""
    for name, text in {"daemon": DAEMON, "light": ACTOR + source, **files}.items():
        head = "from __future__ import annotations\n" if "postponed" in words and name == "light" else ""
        (tmp_path / f"{name}.py").write_text(head + text)
    done = subprocess.run(
        [sys.executable, "daemon.py", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.splitlines()


@pytest.mark.parametrize("words", [(), ("postponed",)], ids=["annotations", "postponed annotations"])
def test_what_an_idle_actor_is_without(tmp_path, words):
    """Handlers and messages are read without any of it; what `ast` is made of is there once `compile` was called."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "actors")], check=True)  # else it does that
    run(tmp_path, LOADED, *words)  # as the first process does with the actor's module
    assert [""] == run(tmp_path, LOADED, *words)


OPERATORS = (
    *("+", "-", "*", "@", "/", "%", "<<", ">>", "|", "^", "&", "//", "**"),
    *("<", "<=", "==", "!=", ">", ">="),
)
WRITTEN = [
    *(f"unknown {operator} 1" for operator in OPERATORS),
    *(f"1 {operator} unknown" for operator in OPERATORS),
    *(f"{operator}unknown" for operator in ("~", "+", "-")),
    *("unknown", "unknown.part", "unknown[int]", "unknown[1:2, ::3]", "unknown(1, *other, key=2)", "unknown[*other]"),
    *("list[unknown]", "int | unknown", "{1: unknown, 'a': [unknown, (2,), {3}]}", "unknown if other else 1"),
    *("t'a {unknown} b {other!r:>3}'", "f'{unknown}'", "lambda: unknown", "unknown + 1 * (-other) ** 2", "'unknown'"),
    *("list['unknown']", "-unknown[other.part](~third) | None"),
]

ANNOTATED = f"""
import annotationlib

def told():
    lines = []
    for number, written in enumerate({WRITTEN!r}):
        exec(f"def f(x: {{written}}): pass\\nclass C:\\n    x: {{written}}", names := {{}})
        for owner in (names["f"], names["C"]):
            for format in (annotationlib.Format.STRING, annotationlib.Format.FORWARDREF):
                try:
                    found = annotationlib.get_annotations(owner, format=format)
                    lines.append(f"{{written}}: {{found!r}} {{type(found['x'])}}".replace(repr(owner), "owner"))
                    lines.append(ascii(getattr(found["x"], "__forward_arg__", "")))
                    lines.append(annotationlib.type_repr(found["x"]))
                except Exception as error:
                    lines.append(f"{{written}}: {{error!r}}")
    return [line for line in lines if " at 0x" not in line]
"""


def test_annotations_are_read_as_ever(tmp_path):
    """Each operator, on each side, as text and with unknown names: what a plain process says, word by word."""
    plain = run(tmp_path, ANNOTATED, "here")
    assert len(plain) > 5 * len(WRITTEN)
    assert plain == run(tmp_path, ANNOTATED)


USED = """
import annotationlib

def first(): ...

def told():
    def added(x: unknown + 1) -> -unknown: ...

    ahead = [name for name in ("ast", "json", "runpy", "subprocess") if name in sys.modules]
    reference = annotationlib.get_annotations(added, format=annotationlib.Format.FORWARDREF)["x"]
    import ast, base64, copy, dataclasses, inspect, io, json, pickle, runpy, subprocess, traceback, typing
    import multiprocessing
    from multiprocessing import resource_tracker, shared_memory, spawn, util
    import msgspec
    operators = [cell.cell_contents for method in vars(annotationlib._Stringifier).values()
                 for cell in getattr(method, "__closure__", None) or () if hasattr(cell.cell_contents, "_fields")]
    area = shared_memory.SharedMemory(create=True, size=8)
    area.close()
    area.unlink()
    spawned = multiprocessing.get_context("spawn").Process(target=first)
    spawned.start()
    spawned.join()

    @dataclasses.dataclass
    class Point:
        x: unknown
        y: int = 1

    class Half(msgspec.Struct):
        x: list[unknown]

    return list(map(repr, [
        ahead,
        annotationlib.ast is ast,
        issubclass(annotationlib._ExtraNameFixer, ast.NodeTransformer),
        all(isinstance(operator, ast.AST) for operator in operators), len(operators),
        isinstance(ast.parse("1 + 2", mode="eval").body.op, ast.Add), ast.dump(ast.parse("-a + 1")),
        pickle.loads(pickle.dumps(ast.parse("a + b"))).body[0].value.op.__class__ is ast.Add,
        type(copy.deepcopy(operators[0])) is type(operators[0]),
        reference.__forward_arg__, ast.dump(reference.__ast_node__),
        str(inspect.signature(added, annotation_format=annotationlib.Format.STRING)),
        repr(Point(2)), Half.__struct_fields__,
        typing.get_type_hints(told),
        inspect.getsource(first),
        "".join(traceback.format_exception_only(ZeroDivisionError("x"))),
        subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout,
        util._args_from_interpreter_flags() == subprocess._args_from_interpreter_flags(),
        json.loads(json.dumps({"a": 1})), base64.b64encode(b"a"), runpy.__name__,
        resource_tracker.json.dumps([1]), spawn.runpy.run_path is not None,
        spawned.exitcode,
    ]))
"""


def test_what_is_imported_later_is_the_real_thing(tmp_path):
    """Modules, classes and operators are those of an import, and what uses them works."""
    plain = run(tmp_path, USED, "here")
    light = run(tmp_path, USED)
    assert "[]" == light[0]
    assert plain[1:] == light[1:]


MORE_OF_AST = """
import sys
from pathlib import Path
exec(compile(Path({path!r}).read_text() + {more!r}, {path!r}, "exec"))
"""


@pytest.mark.parametrize("more", ["\nast.parse('1')", "\nWAS = ast.AST", "\nclass More(ast.NodeVisitor): ..."])
def test_an_annotationlib_that_takes_more_of_ast(tmp_path, more):
    """It is imported with `ast`, as ever."""
    import annotationlib  # noqa: PLC0415 - it is in 3.14 and later

    end = """
def told():
    import ast, annotationlib
    return [str(annotationlib.ast is ast), str("_ast" in sys.modules)]
"""
    other = MORE_OF_AST.format(path=annotationlib.__file__, more=more)
    assert ["True", "True"] == run(tmp_path, end, annotationlib=other)


def test_a_process_in_which_a_tool_runs_a_thread(tmp_path):
    """It imports all at once, as ever."""
    site = """
import _thread, sys, time
_thread.start_new_thread(lambda: time.sleep(3600), ())
while len(sys._current_frames()) == 1:
    time.sleep(0.001)
"""
    loaded = run(tmp_path, LOADED, sitecustomize=site)
    assert {"ast", "subprocess", "json", "runpy"} <= set(loaded)
