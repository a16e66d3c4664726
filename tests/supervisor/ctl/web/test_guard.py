"""Which requests the page's process serves."""

from __future__ import annotations

import pytest

from supervisor.ctl.web.guard import Asked, Guard, Refusal, is_loopback

GUARD = Guard("secret", ("ops.example",))


@pytest.mark.parametrize(
    "asked",
    [
        Asked("127.0.0.1:8712"),
        Asked("localhost:8712"),
        Asked("[::1]:8712"),
        Asked("ops.example"),
        Asked("OPS.example:443"),
        Asked("127.0.0.1:8712", "http://127.0.0.1:8712"),
        Asked("ops.example", "https://ops.example"),
    ],
)
def test_the_page_itself(asked):
    assert GUARD.refusal(asked) is None


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (Asked(""), Refusal.HOST),
        (Asked("rebound.example:8712"), Refusal.HOST),
        (Asked("127.0.0.1.rebound.example"), Refusal.HOST),
        (Asked("rebound.example@127.0.0.1"), None),  # the name is 127.0.0.1; no browser sends this
        (Asked("[::1"), Refusal.HOST),
        (Asked("127.0.0.1:8712", "http://127.0.0.1:3000"), Refusal.ORIGIN),
        (Asked("127.0.0.1:8712", "http://localhost:8712"), Refusal.ORIGIN),
        (Asked("127.0.0.1:8712", "https://evil.example"), Refusal.ORIGIN),
        (Asked("127.0.0.1:8712", "null"), Refusal.ORIGIN),
        (Asked("127.0.0.1:8712", "http://[::1"), Refusal.ORIGIN),
    ],
)
def test_other_names_and_pages(asked, refusal):
    assert refusal is GUARD.refusal(asked)


@pytest.mark.parametrize("token", ["", "secre", "secrets", "\udcff", "sécret"])
def test_another_token(token):
    assert not GUARD.knows(Asked(token=token))
    assert GUARD.knows(Asked(token="secret"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_what_other_machines_reach(host, loopback):
    assert loopback is is_loopback(host)
