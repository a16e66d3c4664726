"""Nothing from a child is trusted: no module of the daemon executes received bytes; the set of frames is closed."""

from __future__ import annotations

import ast

import msgspec
import pytest
from msgspec import inspect as types

from actors.wire import to_child
from actors.wire.from_child import FromChild
from tests.support.waiting import LIBRARY

DAEMON = LIBRARY / "supervisor"
COMMAND = DAEMON / "ctl"  # `actorctl` is a process of its own, and `run` imports the program that it is told
SOURCES = sorted(path for path in DAEMON.rglob("*.py") if COMMAND not in path.parents)
MODULES = {"marshal", "shelve", "dill", "cloudpickle", "yaml"}
READERS = {"load", "loads", "Unpickler", "import_module"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
# Without Preload, which only a waiting spare decodes; it shares its tag with TellBatch, which no spare gets.
TO_CHILD = [
    cls
    for cls in vars(to_child).values()
    if isinstance(cls, type) and issubclass(cls, msgspec.Struct) and cls.__struct_config__.tag is not None
    if cls is not to_child.Preload
]


def called(node: ast.AST) -> set[str]:
    """Names in a piece of code that could execute received bytes."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
        return names & (MODULES | READERS)
    if isinstance(node, ast.Attribute):
        return {node.attr} & READERS
    return {node.id} & (BUILTINS | READERS) if isinstance(node, ast.Name) else set()


def test_nothing_is_unpickled_in_the_daemon() -> None:
    """No module of `supervisor` unpickles, evaluates or imports by name; it only makes pickles, for the child."""
    assert set() == {
        (str(module.relative_to(LIBRARY)), name)
        for module in SOURCES
        for node in ast.walk(ast.parse(module.read_text()))
        for name in called(node)
    }


def test_the_check_itself_finds_readers() -> None:
    """The test above can fail."""
    code = "import pickle\npickle.loads(b'')\nfrom marshal import load\neval('1')"
    assert {"loads", "load", "marshal", "eval"} == {name for node in ast.walk(ast.parse(code)) for name in called(node)}


def inside(node: object, seen: set[int]) -> set[type]:
    """The kinds of types inside a type."""
    if id(node) in seen:
        return set()
    seen.add(id(node))
    if isinstance(node, types.Type):
        found = {type(node)}
        parts = [getattr(node, name) for name in node.__struct_fields__]
    elif isinstance(node, types.Field):
        found, parts = set(), [node.type]
    else:
        found, parts = set(), list(node) if isinstance(node, tuple) else []
    return found.union(*(inside(part, seen) for part in parts))


def test_frames_of_a_child_are_closed() -> None:
    """Structs of plain values; a user's type stays Raw until it is decoded with the expected type."""
    kinds = inside(types.type_info(FromChild), set())
    assert {types.DictType, types.AnyType}.isdisjoint(kinds)


def test_no_frame_decodes_in_the_other_direction() -> None:
    """Tags from 20 on go to the daemon, those below to the child; no tag is used twice."""
    up = [cls.__struct_config__.tag for cls in FromChild.__args__]
    down = [cls.__struct_config__.tag for cls in TO_CHILD]
    assert min(up) >= 20 > max(down)
    assert len({*up, *down}) == len(up) + len(down)
    assert {to_child.StartActor, to_child.Deliver, to_child.Stop} <= {*TO_CHILD}
    for cls in TO_CHILD:
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(msgspec.msgpack.encode([cls.__struct_config__.tag, 1, []]), type=FromChild)
