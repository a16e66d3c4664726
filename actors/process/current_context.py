"""Current context: that of the OpenTelemetry API, read as cheaply as each message may ask for it.

Runs in the daemon and in the actor's process; nothing is imported before it is asked for.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.context import Context


def current_context() -> Callable[[], Context]:
    """What returns the current context. Imports the API.

    It is the `get` of the variable that holds the context, where that is one: it costs a quarter of `get_current`.
    """
    from opentelemetry.context import Context, attach, detach, get_current  # noqa: PLC0415 - an extra

    marked = Context({"actors": object()})
    token = attach(marked)
    try:
        variables = [variable for variable, value in contextvars.copy_context().items() if value is marked]
    finally:
        detach(token)
    return variables[0].get if len(variables) == 1 else get_current
