"""Terms: what the pure parts need to know of a spec: plain values that a journal can hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from actors.bounds import Settings
from supervisor.core.causes import Rule

Start = Literal["ordered", "parallel"]
LoneKind = Literal["task", "function", "command"]
"""What a child without a mailbox is."""


class RestartPolicy(StrEnum):
    """Whether a child that ended is started again (OTP `restart`)."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # only after an abnormal end
    TEMPORARY = "temporary"  # never


class Strategy(StrEnum):
    """Which siblings are restarted with a child (OTP `strategy`)."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class AutoShutdown(StrEnum):
    """Whether the end of significant children ends their supervisor (OTP `auto_shutdown`)."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class Routing(StrEnum):
    """Which member of a pool gets a message."""

    LEAST_LOADED = "least_loaded"  # the first member with room, from one common queue
    ROUND_ROBIN = "round_robin"  # each in turn
    BY_KEY = "by_key"  # messages with the same key go to the same member


class Intensity(Settings, frozen=True):
    """How many restarts a supervisor makes within `period` seconds before it gives up (OTP `intensity`).

    The window slides; all children of the supervisor share it. `max_restarts=0` never restarts.
    """

    max_restarts: int | None = 3
    period: float = 5.0

    @classmethod
    def unlimited(cls) -> Intensity:
        """Never give up. Explicit, since it turns escalation off."""
        return cls(max_restarts=None)


class Backoff(Settings, frozen=True, kw_only=True):
    """How long to wait before a restart: at once, then `initial` seconds doubling up to `cap`, plus jitter.

    A child without one has these defaults, made shorter where its supervisor's intensity could not be reached
    otherwise.

    The rule is Pekko's: delay(n) = min(cap, initial * 2**n) * (1 + roll * jitter), with roll in [0, 1), and n = 0 for
    the second restart in a row.

    Attributes:
        initial: seconds before the second restart in a row; the first one is at once.
        cap: longest delay in seconds, before jitter.
        jitter: share of the delay that is added at random.
        healthy_after: seconds of running after which the count starts anew. None: the larger of `cap` and the
            supervisor's intensity period.
    """

    initial: float = 0.1
    cap: float = 1.0
    jitter: float = 0.2
    healthy_after: float | None = None


class ChildTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine needs to know of a child: plain values that a journal can hold.

    Attributes:
        name: unique under its supervisor.
        restart: whether it is started again.
        shutdown: seconds of grace between the request to stop and SIGKILL.
        start_timeout: seconds it may take to become ready.
        significant: whether its end counts for auto_shutdown.
        backoff: how long to wait before a restart; None for the default, which adapts to the intensity.
        own_budget: whether its restarts are counted apart from those of its siblings, as of a member of a pool.
        overlap: whether a recycled life works on until the next one is ready.
        pool: name of the pool whose member it is; its members stop together. Empty outside of pools.
        rules: what a death leads to by its cause, in place of the policy.
    """

    name: str
    restart: RestartPolicy = RestartPolicy.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    significant: bool = False
    backoff: Backoff | None = None
    own_budget: bool = False
    overlap: bool = False
    pool: str = ""
    rules: tuple[Rule, ...] = ()


class SupervisorTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine needs to know of its own supervisor: plain values that a journal can hold."""

    path: str = "/root"
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = Intensity()
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    start: Start = "ordered"
    max_children: int | None = None
    nested: bool = False  # whether a supervisor above may start it again; then its end leaves the mailboxes open
