"""Names, labels and amounts of an actor's own counters."""

from __future__ import annotations

import pytest

from actors.errors import UsageError
from actors.wire.counts import Series, check_amount, decoded, encoded


def test_a_series():
    """Labels go by name, their values are texts; `_total` is not part of the name."""
    assert Series("orders", (("shop", "b"), ("tier", "1"))) == decoded(
        encoded("/a", "orders_total", {"tier": 1, "shop": "b"})
    )


@pytest.mark.parametrize("name", ["", "3d", "or ders", "ördërs", "actor_messages", "supervisor_x", 3, None])
def test_bad_names(name):
    with pytest.raises(UsageError, match=r"context.count in /root/a: .* is not a name for a counter"):
        encoded("/root/a", name, {})


@pytest.mark.parametrize("label", ["actor", "le", "__name__", "a-b"])
def test_bad_labels(label):
    with pytest.raises(UsageError, match="orders cannot have the label"):
        encoded("/root/a", "orders", {label: "x"})


def test_a_long_series():
    with pytest.raises(UsageError, match="has 275 bytes, the most is 254"):
        encoded("/root/a", "orders", {"x": "y" * 260})


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), 10**400, "1", None, True])
def test_bad_amounts(amount):
    with pytest.raises(UsageError, match="orders grows by a number of at least 0"):
        check_amount("/root/a", "orders", amount)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\xa3a b\x90", b"\x91\x01", b"\x92\xa6actor_\x90"])
def test_rubbish(data):
    assert decoded(data) is None
