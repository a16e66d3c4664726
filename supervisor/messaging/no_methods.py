"""No methods: what a ref says where a method of its actor is called on it.

A `__getattr__` would say it of any name, and make each use of a ref slower: the interpreter then never remembers where
it has found an attribute.

Runs on the loop's thread.
"""

from __future__ import annotations

from types import new_class
from typing import Any, Final, NoReturn, TypeVar, cast

from actors.actor import Actor
from actors.ref import TAKES_MESSAGES, ActorRef

Ref = TypeVar("Ref", bound=ActorRef)

_made: Final[dict[tuple[Any, Any], Any]] = {}  # by class of refs and of actors


class NoMethod:
    """In place of one method.

    Args:
        name: of the method.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, ref: object, kind: type) -> NoReturn:
        raise AttributeError(
            f"{kind.__name__!r} object has no attribute {self._name!r}; {TAKES_MESSAGES}",
            name=self._name,
            obj=ref,
        )


def without_methods(ref: type[Ref], actor: type[Actor]) -> type[Ref]:
    """The class of refs to such actors: it says of the actor's methods that a ref has none of them."""
    made = _made.get((ref, actor))
    if made is None:
        names = [name for name in dir(actor) if not name.startswith("_") and not hasattr(ref, name)]
        body: dict[str, Any] = {"__slots__": (), "__module__": ref.__module__, "__doc__": ref.__doc__}
        body |= {name: NoMethod(name) for name in names}
        name = f"{ActorRef.__name__}[{actor.__name__}]"  # in the errors of Python, too: whose attribute is missing
        made = _made[ref, actor] = new_class(name, (ref,), exec_body=lambda space: space.update(body))
    return cast("type[Ref]", made)
