"""The truth tables of policy: restart x reason, auto_shutdown x significance, and OTP's refusals."""

import itertools

import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules import policy
from supervisor.core.terms import AutoShutdown, ChildTerms, RestartPolicy

NORMAL_ENDS = {"normal", "shutdown"}

TABLE = [
    pytest.param(restart, kind, id=f"{restart.value}-{kind.value}")
    for restart, kind in itertools.product(RestartPolicy, ExitKind)
]


@pytest.mark.parametrize(("restart", "kind"), TABLE)
def test_restart_by_reason(restart, kind):
    """OTP: permanent always, transient after an abnormal end, temporary never."""
    expected = {
        "permanent": True,
        "transient": kind.value not in NORMAL_ENDS,
        "temporary": False,
    }[restart.value]
    assert expected is policy.restarts(restart, kind)


@pytest.mark.parametrize(("restart", "kind"), TABLE)
def test_the_reason_given_agrees_with_the_answer(restart, kind):
    """The line for people says the same as the table."""
    line = policy.because(restart, kind)
    assert line.startswith(restart.value)
    assert policy.restarts(restart, kind) is line.endswith(("are restarted", "restarted after an abnormal end"))


@pytest.mark.parametrize("kind", ExitKind)
def test_the_table_and_the_reason_agree_on_what_is_abnormal(kind):
    """A transient child is restarted exactly after what ExitReason calls abnormal."""
    assert ExitReason(kind).abnormal is policy.restarts(RestartPolicy.TRANSIENT, kind)


def child(name, *, significant):
    return ChildTerms(name=name, restart=RestartPolicy.TRANSIENT, significant=significant)


PLAIN, MARKED, OTHER = (
    child("p", significant=False),
    child("m", significant=True),
    child("o", significant=True),
)


@pytest.mark.parametrize(
    ("rule", "ended", "up", "ends"),
    [
        pytest.param(AutoShutdown.NEVER, PLAIN, [OTHER], False, id="never-plain"),
        pytest.param(AutoShutdown.NEVER, MARKED, [], False, id="never-significant"),
        pytest.param(AutoShutdown.ANY_SIGNIFICANT, PLAIN, [], False, id="any-plain"),
        pytest.param(AutoShutdown.ANY_SIGNIFICANT, MARKED, [OTHER], True, id="any-significant-not_last"),
        pytest.param(AutoShutdown.ANY_SIGNIFICANT, MARKED, [PLAIN], True, id="any-significant-last"),
        pytest.param(AutoShutdown.ALL_SIGNIFICANT, PLAIN, [], False, id="all-plain"),
        pytest.param(AutoShutdown.ALL_SIGNIFICANT, MARKED, [PLAIN, OTHER], False, id="all-significant-not_last"),
        pytest.param(AutoShutdown.ALL_SIGNIFICANT, MARKED, [PLAIN], True, id="all-significant-last"),
    ],
)
def test_auto_shutdown_by_significance(rule, ended, up, ends):
    """OTP: any_significant at the first of them, all_significant at the last."""
    assert ends is policy.ends_supervisor(rule, ended, up)


@pytest.mark.parametrize(
    ("rule", "restart", "significant", "refused"),
    [
        pytest.param(
            rule,
            restart,
            significant,
            significant and (rule is AutoShutdown.NEVER or restart is RestartPolicy.PERMANENT),
            id=f"{rule.value}-{restart.value}-{'significant' if significant else 'plain'}",
        )
        for rule, restart, significant in itertools.product(AutoShutdown, RestartPolicy, [False, True])
    ],
)
def test_refused_children(rule, restart, significant, refused):
    """OTP refuses significant children under never, and significant permanent ones everywhere."""
    terms = ChildTerms(name="a", restart=restart, significant=significant)
    assert refused is bool(policy.refusal(rule, terms))
