"""Job definition: a function as `@job` marks it, its arguments and its result as bytes.

Runs on both sides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from types import GenericAlias
from typing import Any, Final, NoReturn, TypeVar, get_type_hints

import msgspec

from actors.bounds import shown, without_brackets
from actors.errors import UsageError
from actors.exits import with_article
from actors.signatures import annotations_of, globals_of, is_asynchronous, is_generator, parameters_of, type_name
from actors.wire.attachments import decode_sharing, encode_sharing
from actors.wire.codec import ReplyCodec, SharedValue, decoder_of, encode, mentions, reply_codec, unknown_type
from actors.wire.framing import Carried

F = TypeVar("F", bound=Callable[..., Any])

_cut: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_DEFINITION: Final = "__job__"  # the attribute of a function under which its definition is found


class JobDefinition:
    """What `@job` knows of a function.

    Its types are read when they are first needed: an annotation may name what is defined below the function, and an
    actor class below it may bring codecs.

    Args:
        function: the function.

    Attributes:
        name: of the function.
        shares: whether its arguments or its result may contain a `Shared`, once the types are read.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name: Final = function.__qualname__
        self.shares = False
        self._function = function
        self._parameters = {one.name: one for one in parameters_of(function)}
        self._places = [name for name, one in self._parameters.items() if not one.keyword_only]
        self._arguments: Any = None  # a Struct with a field for each parameter
        self._decode: Callable[[bytes], Any] = bytes
        self._decode_each: Callable[[bytes], list[Any]] = list
        self._result: ReplyCodec | None = None

    def read_types(self) -> None:
        """Read the annotations.

        Raises:
            UsageError: a type cannot be read, or has no codec.
            NameError: an annotation names something that is not defined, or not yet.
        """
        if self._result is not None:
            return
        hints = get_type_hints(self._function, globals_of(self._function), include_extras=True)
        fields: list[Any] = []
        for name, one in self._parameters.items():
            _check_type(f"parameter {name!r} of job {self.name}", hints[name])
            fields.append((name, hints[name]) if one.required else (name, hints[name], msgspec.UNSET))
        _check_type(f"the result of job {self.name}", hints["return"])
        self._arguments = msgspec.defstruct(self.name, fields, kw_only=True, forbid_unknown_fields=True)
        self._decode = decoder_of(self._arguments).decode
        self._decode_each = decoder_of(GenericAlias(list, (self._arguments,))).decode
        self.shares = any(mentions(hint, SharedValue) for hint in hints.values())
        self._result = reply_codec(hints["return"])

    @property
    def result(self) -> ReplyCodec:
        """The codec of its result.

        Raises:
            UsageError: as `read_types`, or an annotation names something that is not defined.
        """
        try:
            self.read_types()
        except NameError as error:
            raise UsageError(
                f"the annotations of job {self.name} cannot be read: {error}; define what they name at the top level "
                f"of the module, and import it outside `if TYPE_CHECKING`"
            ) from None
        assert self._result is not None  # noqa: S101 - it was just read
        return self._result

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[bytes, tuple[Carried, ...]]:
        """Encode arguments and check their types: their bytes, and their values in shared memory.

        A parameter that is left out keeps the function's own default.

        Raises:
            UsageError: the function does not take them, or one has the wrong type.
        """
        values = self._by_name(args, kwargs)
        _ = self.result
        try:
            given = self._arguments(**values)
            data, shared = encode_sharing(given) if self.shares else (encode(given), ())
            self._decode(data)
        except Exception as error:  # msgspec's own, or of a type's `__post_init__`
            raise UsageError(f"job {self.name} cannot be run: {error}") from None
        return data, shared

    def check_single(self) -> None:
        """Check that the function takes one argument by its place, and needs no other.

        Raises:
            UsageError: it does not.
        """
        self._by_name((None,), {})

    def encode_each(self, items: Sequence[Any]) -> list[bytes]:
        """Encode the arguments of several calls with one argument each, which share nothing, in one step.

        Raises:
            UsageError: one of them has the wrong type; `encode` says which.
        """
        _ = self.result
        name = self._places[0]
        try:
            data = encode([self._arguments(**{name: item}) for item in items])
            self._decode_each(data)
        except Exception as error:
            raise UsageError(f"job {self.name} cannot be run for one of {len(items)} items: {error}") from None
        return list(map(bytes, _cut(data)))

    def call(
        self, function: Callable[..., Any], arguments: bytes, shared: Sequence[Carried] = ()
    ) -> tuple[bytes, tuple[Carried, ...]]:
        """Call the function, as it is found in this process, and encode its result, as `encode` does.

        Raises:
            UsageError: the result does not have the promised type.
            BaseException: whatever the function raises.
        """
        codec = self.result
        given = decode_sharing(self._decode, arguments, shared) if shared else self._decode(arguments)
        values = {name: value for name in self._parameters if (value := getattr(given, name)) is not msgspec.UNSET}
        by_place = [name for name in self._places if not self._parameters[name].plain and name in values]
        returned = function(*[values.pop(name) for name in by_place], **values)
        try:
            return encode_sharing(returned, codec.encode) if codec.shares else (codec.encode(returned), ())
        except UsageError as error:
            raise UsageError(
                f"{self.name} returned {with_article(type(returned).__qualname__)}, its annotation promises "
                f"{type_name(codec.promised)}: {error.__cause__}"
            ) from None

    def _by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self._places):
            self._refuse(f"it takes {len(self._places)} positional arguments, {len(args)} were given")
        values = dict(zip(self._places, args, strict=False))
        for name, value in kwargs.items():
            one = self._parameters.get(name)
            if one is None or not (one.plain or one.keyword_only):
                self._refuse(f"it has no keyword argument {name!r}")
            if name in values:
                self._refuse(f"{name!r} was given twice")
            values[name] = value
        for name, one in self._parameters.items():
            if one.required and name not in values:
                self._refuse(f"it lacks the argument {name!r}")
        return values

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(f"job {self.name} cannot be run: {why}")


_INSTEAD: Final = "write @job above a function"


@without_brackets(_INSTEAD)
def job(function: F) -> F:
    """Make a function a job, which the processes of a `Jobs` pool can run; called directly it is what it was.

    Its parameters and its result are annotated with types that msgspec knows, or for which the pool's class has codecs.

    Raises:
        UsageError: the function could not be run in another process.
    """
    _check_function(function)
    definition = JobDefinition(function)
    with contextlib.suppress(NameError, _NoCodec):  # what it names, or the codec, may be defined below
        definition.read_types()
    try:
        setattr(function, _DEFINITION, definition)
    except AttributeError:
        raise UsageError(f"@job marks functions, and {with_article(type(function).__name__)} is none") from None
    return function


def definition_of(function: object) -> JobDefinition:
    """The definition of a job.

    Raises:
        UsageError: it is none.
    """
    definition = getattr(function, _DEFINITION, None)
    if not isinstance(definition, JobDefinition):
        if not callable(function):
            raise UsageError(
                f"{shown(function)} is not a job: pass the function and then its arguments, run(parse, 'a.py'), not "
                f"what it returns"
            )
        name = getattr(function, "__qualname__", None) or shown(function)
        raise UsageError(
            f"{name} is not a job; write @job above a function at the top level of a module, and annotate it"
        )
    return definition


class _NoCodec(UsageError):
    """A type has no codec, or none yet."""


def _check_function(function: Any) -> None:
    name = getattr(function, "__qualname__", None)
    if isinstance(function, type) or not callable(function) or name is None:
        raise UsageError(
            f"@job takes no arguments and marks functions, it was given {name or shown(function)}; {_INSTEAD}"
        )
    if "<lambda>" in name:
        raise UsageError("a lambda has no name by which another process finds it; write @job above a def")
    if "<locals>" in name:
        raise UsageError(
            f"{name} is defined inside {name.split('.<locals>')[0]}(), where no other process finds it; move it to the "
            f"top level of {function.__module__}"
        )
    if "." in name:
        raise UsageError(
            f"{name} is defined in a class; a job is a function at the top level of a module, and gets all it needs as "
            f"arguments"
        )
    if is_generator(function):
        raise UsageError(f"job {name} has a yield; a job has one result, return a list")
    if is_asynchronous(function):
        raise UsageError(
            f"job {name} is async; a job has a process to itself and may block: write def {name}, and asyncio.run(...) "
            f"inside"
        )
    _check_annotations(name, function)


def _check_annotations(name: str, function: Any) -> None:
    for one in parameters_of(function):
        if one.variadic:
            raise UsageError(f"job {name} takes any number of arguments ({one.name}); name each parameter")
        if one.annotation is None and one.name not in annotations_of(function):
            raise UsageError(
                f"job {name} does not say what {one.name!r} is; annotate it: def {name}({one.name}: SomeType)"
            )
    if "return" not in annotations_of(function):
        raise UsageError(f"job {name} does not say what it returns; annotate it: def {name}(...) -> SomeType, or None")


def _check_type(what: str, annotation: Any) -> None:
    try:
        unknown = unknown_type(annotation)
        decoder_of(annotation)
    except (TypeError, NameError) as error:
        raise UsageError(f"{what} cannot travel: {error}") from None
    if unknown is not None:
        raise _NoCodec(
            f"{what}, {type_name(annotation)}, contains {unknown}, which has no codec; use types that msgspec knows, "
            f"or give the pool's class one: class MyJobs(Jobs): codecs = (Codec(...),)"
        )
