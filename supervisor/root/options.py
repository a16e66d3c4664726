"""Options: what `Supervisor` is given beside its children, checked before anything is made.

Runs on the thread that makes the supervisor.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Literal, TypedDict, get_args

from actors.bounds import MOST_PROCESSES, check_time, is_count, shown
from actors.errors import UsageError
from actors.signatures import signature_of
from supervisor.core.rules.spare_count import SpareCount
from supervisor.core.terms import AutoShutdown, Intensity, Start, Strategy
from supervisor.errors import RestartIntensityExceeded
from supervisor.known_options import check_known
from supervisor.specs import ChildSpec

if TYPE_CHECKING:
    from supervisor.ports.launching import Cluster
    from supervisor.store.port import Store

Reading = Literal["thread", "loop"]
_READINGS: Final = get_args(Reading)
OnGiveUp = Literal["cancel", "sigterm"] | Callable[[RestartIntensityExceeded], object]


class RootSpec(TypedDict, total=False):
    """What the spec of a root has beside its children, as in SupervisorSpec."""

    name: str
    strategy: Strategy
    intensity: Intensity
    auto_shutdown: AutoShutdown
    start: Start
    max_children: int | None


class Options(RootSpec, total=False):
    """All options of `Supervisor`, as a type checker reads them where they are passed on."""

    reading: Reading
    stop_timeout: float | None
    spares: SpareCount
    max_shared_bytes: int | None
    on_give_up: OnGiveUp
    store: Store | None
    control: str | os.PathLike[str] | None
    cluster: Cluster | None


def check_spec(names: Collection[str]) -> None:
    """Check that `Supervisor` has these options of a spec.

    Raises:
        UsageError: it has not; the text names what is near.
    """
    given = [name for name in names if name not in RootSpec.__optional_keys__]
    for name in given:
        if name in {field.name for field in dataclasses.fields(ChildSpec)}:
            raise UsageError(f"Supervisor takes no option {name!r}, its children do: ChildSpec(..., {name}=...)")
    check_known("Supervisor", given, Options.__optional_keys__)


def check_options(
    *,
    reading: Reading,
    stop_timeout: float | None,
    spares: SpareCount,
    max_shared_bytes: int | None,
    on_give_up: OnGiveUp,
    store: Store | None,
    cluster: Cluster | None,
) -> None:
    """Check the options of a supervisor, as `Supervisor` describes them.

    Raises:
        UsageError: one of them cannot be.
    """
    if store is not None and not callable(getattr(store, "commit", None)):
        raise UsageError(f"store must be a store, as SQLiteStore('shop.db'), or None; it is {shown(store)}")
    if cluster is not None and not callable(getattr(cluster, "enter", None)):
        raise UsageError(f"cluster must be a RayCluster or None, it is {shown(cluster)}")
    if not isinstance(reading, str) or reading not in _READINGS:
        raise UsageError(f"reading must be 'thread' or 'loop', it is {shown(reading)}")
    if not (isinstance(spares, str) and spares == "auto") and not is_count(spares, 0, MOST_PROCESSES):
        raise UsageError(
            f"spares must be a whole number of at least 0 and at most {MOST_PROCESSES}, or 'auto', it is "
            f"{shown(spares)}"
        )
    if stop_timeout is not None:
        check_time("stop_timeout", stop_timeout, otherwise=", or None for each child's own grace")
    if not callable(on_give_up) and not (isinstance(on_give_up, str) and on_give_up in {"cancel", "sigterm"}):
        raise UsageError(f"on_give_up must be 'cancel', 'sigterm' or a callable, it is {shown(on_give_up)}")
    if callable(on_give_up) and not _takes_one(on_give_up):
        raise UsageError(
            f"on_give_up is called with the RestartIntensityExceeded; {shown(on_give_up)} does not take it"
        )
    if max_shared_bytes is not None and not is_count(max_shared_bytes, 1):
        raise UsageError(
            f"max_shared_bytes must be a whole number of at least 1, or None, not {shown(max_shared_bytes)}"
        )


def _takes_one(function: Callable[..., object]) -> bool:
    """Whether it can be called with one argument; True where that is not known."""
    try:
        signature_of(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # some that are written in C do not say
        return True
    return True
