"""What is read from a function's code is what inspect says; inspect is asked where the code does not tell."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys

import pytest

from actors import handles
from actors.signatures import (
    Parameter,
    annotations_of,
    evaluated,
    globals_of,
    is_asynchronous,
    is_generator,
    parameters_of,
    signature_of,
    uses_name,
)
from tests.support.waiting import ROOT


def plain(self, msg: int) -> None: ...


def bare(self, msg): ...


def positional(self, msg: int, /) -> None: ...


def variadic(self, *messages: int, **more: int) -> None: ...


def keyword(self, *, msg: int) -> None: ...


def default(self, msg: int, more: str = "") -> None: ...


def generator(self, msg: int):
    yield msg


async def coroutine(self, msg: int) -> None: ...


async def async_generator(self, msg: int):
    yield msg


def wrapped(function):
    """A decorator as people write them."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Callable:
    async def __call__(self, msg: int) -> None: ...


FUNCTIONS = {
    "plain": plain,
    "marked": handles(lambda self, msg: None),
    "bare": bare,
    "positional": positional,
    "variadic": variadic,
    "keyword": keyword,
    "default": default,
    "generator": generator,
    "coroutine": coroutine,
    "async_generator": async_generator,
    "wrapped": wrapped(plain),
    "wrapped coroutine": wrapped(coroutine),
    "partial": functools.partial(coroutine, None),
    "bound": Callable().__call__,
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_as_inspect_says(name):
    """Parameters, asynchronous or not, generator or not."""
    function = FUNCTIONS[name]
    kinds = inspect.Parameter
    expected = [
        Parameter(
            one.name,
            None if one.annotation is kinds.empty else one.annotation,
            plain=one.kind is kinds.POSITIONAL_OR_KEYWORD,
            keyword_only=one.kind is kinds.KEYWORD_ONLY,
            required=one.default is kinds.empty,
            variadic=one.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD),
        )
        for one in inspect.signature(function).parameters.values()
    ]
    assert expected == parameters_of(function)
    asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    assert asynchronous == is_asynchronous(function)
    assert (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)) == is_generator(function)


def test_the_names_of_a_wrapped_function():
    """They are those of the function that was written, not those of its wrapper's module."""
    assert globals() is globals_of(wrapped(plain))


def test_an_actor_of_plain_functions_needs_no_inspect():
    """Its class is read without importing it."""
    code = (
        "import sys\n"
        "sys.modules['inspect'] = None\n"
        "from actors.signatures import Parameter, is_asynchronous, is_generator, parameters_of\n"
        "async def ask(self, msg: int): yield msg\n"
        "print(is_asynchronous(ask), is_generator(ask), [one.name for one in parameters_of(ask)])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "True True ['self', 'msg']\n" == run.stdout


class Base:
    def inherited(self):
        return self.below


class Middle(Base):
    def above(self):
        return [self.nested for _ in range(2)]


class User(Middle):
    here = 1

    def own(self):
        return self.mine


@pytest.mark.parametrize("name", ["mine", "nested"])
def test_a_name_that_a_class_uses(name):
    """In its own code or in a base's, also in a function inside."""
    assert uses_name(User, name, below=Base)


@pytest.mark.parametrize("name", ["below", "here", "text"])
def test_a_name_that_a_class_does_not_use(name):
    """Code of the bases from `below` on does not count, nor what is only defined."""
    assert not uses_name(User, name, below=Base)


LAZY = """
def handle(self, msg: int, more: Elsewhere = None) -> Elsewhere: ...
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated where they are written")
def test_a_name_that_only_type_checkers_have():
    """It stays a name, and only what is asked for is evaluated."""
    names = {}
    exec(compile(LAZY, "<lazy>", "exec", dont_inherit=True), names)
    handle = names["handle"]
    assert ["self", "msg", "more"] == [one.name for one in parameters_of(handle)]
    assert int is evaluated(handle, "msg", annotations_of(handle)["msg"])
    with pytest.raises(NameError):
        evaluated(handle, "return", annotations_of(handle)["return"])
    assert "Elsewhere" in str(signature_of(handle))
