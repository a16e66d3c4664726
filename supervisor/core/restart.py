"""Restart: a restart policy with exceptions to it, by the cause of a death. A pure value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from actors.bounds import shown
from actors.errors import UsageError
from supervisor.core.causes import Cause, RestartAction, Rule
from supervisor.core.terms import RestartPolicy
from supervisor.known_options import tells_options


@tells_options
class Restart:
    """A restart policy with exceptions to it, by cause. For `restart=` of a spec.

    Where a cause has a rule, it decides in place of the policy, also when a first start fails. No rule is asked about
    an end that the supervisor itself caused, or about a start that was called for, which is its caller's.

    Args:
        policy: what happens where there is no rule.
        rules: what happens after a death, by its cause: "restart"; "restart_uncounted", which the supervisor does not
            count; "stop", after which the child stays down (`root.health()` shows it unless the end was normal); or
            "escalate", after which the supervisor gives up at once.

    Raises:
        UsageError: a cause is none, an action is none, or a temporary child is to be restarted.
    """

    __slots__ = ("policy", "rules")

    def __init__(self, policy: RestartPolicy | str, rules: Mapping[Cause, RestartAction | str]) -> None:
        try:
            self.policy = RestartPolicy(policy)
        except Exception:  # whatever the repr of the value raises
            raise UsageError(
                f"Restart: {shown(policy)} is not a policy; expected one of {_words(RestartPolicy)}"
            ) from None
        if not isinstance(rules, Mapping):
            raise UsageError(f"Restart: {shown(rules)} are not rules; write them as {{Cause.hang: 'stop', ...}}")
        self.rules = tuple(_rule(cause, action) for cause, action in rules.items())
        restarts = {RestartAction.RESTART, RestartAction.RESTART_UNCOUNTED} & {rule.action for rule in self.rules}
        if self.policy is RestartPolicy.TEMPORARY and restarts:
            raise UsageError("Restart: a temporary child is never restarted; make it transient")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Restart) and (self.policy, self.rules) == (other.policy, other.rules)

    def __hash__(self) -> int:
        return hash((self.policy, self.rules))

    def __repr__(self) -> str:
        rules = ", ".join(f"{rule.cause}: {rule.action}" for rule in self.rules)
        return f"Restart({self.policy}, {{{rules}}})"


def _rule(cause: Cause, action: RestartAction | str) -> Rule:
    if not isinstance(cause, Cause):
        raise UsageError(
            f"Restart: {shown(cause)} is not a cause; write Cause.exception(...), Cause.exit_code(...), ..."
        )
    try:
        return Rule(cause, RestartAction(action))
    except Exception:  # as above
        raise UsageError(
            f"Restart: {shown(action)} is not an action; expected one of {_words(RestartAction)}"
        ) from None


def _words(enum: type[StrEnum]) -> str:
    return ", ".join(repr(str(member)) for member in enum)
