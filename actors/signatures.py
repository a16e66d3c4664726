"""Signatures: what `inspect` knows of a function, without importing it for a plain one.

The answers are inspect's. A plain function is read from its code object, so that an actor's process need not import
inspect and its dependencies; a wrapped, bound or marked function is left to inspect. Nor does it call `compile`, with
whose first call a process gets all that `ast` is made of; so no annotation is postponed here.
"""

from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GenericAlias,
    MethodDescriptorType,
    SimpleNamespace,
    UnionType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from inspect import Signature

_VARARGS: Final = 0x04
_VARIADIC: Final = 0x04 | 0x08  # flags of a code object: it has *args, **kwargs
_GENERATOR: Final = 0x20
_COROUTINE: Final = 0x80
_ASYNC_GENERATOR: Final = 0x200

_IN_C: Final = (WrapperDescriptorType, MethodDescriptorType, BuiltinFunctionType)  # object.__init__, for one

MARK: Final = "__handles__"  # the one attribute that a plain function may have


class Parameter(NamedTuple):
    """One parameter of a function.

    Attributes:
        name: its name.
        annotation: as it is written, None when it has none.
        plain: whether it can be given by position and by name.
        keyword_only: whether it can be given by name alone.
        required: whether it has no default.
        variadic: whether it is `*args` or `**kwargs`.
    """

    name: str
    annotation: Any
    plain: bool
    keyword_only: bool = False
    required: bool = True
    variadic: bool = False


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a function, `self` included."""
    code = _plain_code(function)
    if code is None or code.co_flags & _VARIADIC:
        return _inspected(function)
    hints, given = annotations_of(function), function.__kwdefaults__ or {}
    required = code.co_argcount - len(function.__defaults__ or ())
    names = code.co_varnames[: code.co_argcount]
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return [
        *(
            Parameter(name, hints.get(name), at >= code.co_posonlyargcount, required=at < required)
            for at, name in enumerate(names)
        ),
        *(Parameter(name, hints.get(name), False, keyword_only=True, required=name not in given) for name in keywords),
    ]


def _inspected(function: Callable[..., Any]) -> list[Parameter]:
    import inspect  # noqa: PLC0415 - see the module's docstring

    kind, empty = inspect.Parameter, inspect.Parameter.empty
    return [
        Parameter(
            one.name,
            None if one.annotation is empty else one.annotation,
            one.kind is kind.POSITIONAL_OR_KEYWORD,
            keyword_only=one.kind is kind.KEYWORD_ONLY,
            required=one.default is empty,
            variadic=one.kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD),
        )
        for one in signature_of(function).parameters.values()
    ]


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function as they are written; what is imported for type checkers only stays a name."""
    try:
        return getattr(function, "__annotations__", {})
    except NameError:  # from 3.14 on they are evaluated when they are read
        import annotationlib  # type: ignore[import-not-found]  # noqa: PLC0415 - it is in 3.14 and later

        found: dict[str, Any] = annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
        return found


def signature_of(function: Callable[..., Any], *, follow_wrapped: bool = True) -> "Signature":
    """The signature of a function, with its annotations as in `annotations_of`."""
    import inspect  # noqa: PLC0415 - see the module's docstring

    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except NameError:
        import annotationlib  # noqa: PLC0415 - as above

        options: dict[str, Any] = {"annotation_format": annotationlib.Format.FORWARDREF}
        return inspect.signature(function, follow_wrapped=follow_wrapped, **options)


def accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with so many arguments by place, `self` included; True where that is not known."""
    if not isinstance(function, FunctionType):
        return True
    code = function.__code__
    least = code.co_argcount - len(function.__defaults__ or ())
    most = count if code.co_flags & _VARARGS else code.co_argcount
    return least <= count <= most and code.co_kwonlyargcount <= len(function.__kwdefaults__ or ())


def surely_accepts(function: Callable[..., Any], count: int) -> bool:
    """The same; False where that is not known."""
    return _plain_code(function) is not None and accepts(function, count)


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The types of which a value may be one: those of a union; an alias (`type Both = A | B`) is what it stands for."""
    if type(hint).__name__ == "TypeAliasType":  # there is none before Python 3.12
        return choices_of(hint.__value__)
    if get_origin(hint) in (Union, UnionType):
        return tuple(choice for arg in get_args(hint) for choice in choices_of(arg))
    return (hint,)


def type_name(hint: Any) -> str:
    """A type as it is written: `Order`, `list[int]`, `int | None`."""
    return hint.__qualname__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def evaluated(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """The type that one annotation of a function means.

    Raises:
        Exception: it cannot be evaluated: a name that is not defined, text that is no Python, a type that stands where
            none may.
    """
    names = globals_of(function)
    meant = _quickly(annotation, names) if isinstance(annotation, str) else annotation
    return get_type_hints(SimpleNamespace(__annotations__={name: meant}), names)[name]


def _quickly(annotation: str, names: dict[str, Any]) -> Any:
    """What the text of an annotation means, where that is surely a type; the text, where typing has to look at it."""
    try:
        meant = eval(annotation, names)  # noqa: S307 - as typing does: it is code of the function's own module
    except Exception:
        return annotation
    return meant if meant is None or isinstance(meant, (type, GenericAlias, UnionType)) else annotation


def globals_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The globals in which its annotations are evaluated."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    names: dict[str, Any] = function.__globals__
    return names


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether it is an `async def`, with `yield` or without."""
    return bool(_flags(function) & (_COROUTINE | _ASYNC_GENERATOR))


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether it has a `yield`, `async def` or not."""
    return bool(_flags(function) & (_GENERATOR | _ASYNC_GENERATOR))


def _flags(function: Callable[..., Any]) -> int:
    code = _plain_code(function)
    if code is not None:
        return code.co_flags
    if isinstance(function, _IN_C):
        return 0
    import inspect  # noqa: PLC0415 - see the module's docstring

    kinds = {
        _COROUTINE: inspect.iscoroutinefunction,
        _GENERATOR: inspect.isgeneratorfunction,
        _ASYNC_GENERATOR: inspect.isasyncgenfunction,
    }
    return sum(flag for flag, has in kinds.items() if has(function))


def _plain_code(function: Callable[..., Any]) -> CodeType | None:
    """The code of a function as `def` makes it; None for anything else."""
    plain = isinstance(function, FunctionType) and vars(function).keys() <= {MARK}
    return function.__code__ if plain else None


def uses_name(cls: type, name: str, below: type) -> bool:
    """Whether code that is written in a class, or in its bases below that one, uses a name, as an attribute's too."""
    codes = [
        code
        for one in cls.__mro__[: cls.__mro__.index(below)]
        for value in vars(one).values()
        if (code := getattr(value, "__code__", None)) is not None
    ]
    return any(_uses(code, name) for code in codes if isinstance(code, CodeType))


def _uses(code: CodeType, name: str) -> bool:
    return name in code.co_names or any(_uses(one, name) for one in code.co_consts if isinstance(one, CodeType))
