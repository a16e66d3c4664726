"""Guard: which HTTP requests are served. Pure.

Host    one of the page's own names: a name that an attacker points to this address (DNS rebinding) is none
Origin  where a browser sends it, the page itself: no other page reads or acts here
token   in the URL of the page, which carries it; each request for data has it, each action in a header
"""

from __future__ import annotations

import hmac
import ipaddress
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import msgspec

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Refusal(StrEnum):
    """Why a request is not served, for the person who reads it."""

    HOST = "this page does not have the name in the Host header; --name NAME gives it another one"
    ORIGIN = "another page has sent this request"
    TOKEN = "the token is missing or another one: open the URL that `actorctl web` has printed"  # noqa: S105 - a text


class Asked(msgspec.Struct, frozen=True):
    """What a request says of itself; empty where it does not say it.

    Attributes:
        host: the header Host.
        origin: the header Origin.
        token: what it gives as token.
    """

    host: str = ""
    origin: str = ""
    token: str = ""


class Guard:
    """Decides on requests.

    Args:
        token: what each request for data must have.
        names: of the page in browsers, beside those of the loopback interface.
    """

    def __init__(self, token: str, names: tuple[str, ...] = ()) -> None:
        self._token = token.encode()
        self._names = LOOPBACK | {name.lower() for name in names}

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why a request is not for this page; None when it is. Says nothing of its token."""
        if _name(asked.host) not in self._names:
            return Refusal.HOST
        if asked.origin and _authority(asked.origin) != asked.host.lower():
            return Refusal.ORIGIN
        return None

    def knows(self, asked: Asked) -> bool:
        """Whether a request has the token."""
        return hmac.compare_digest(asked.token.encode("utf-8", "surrogateescape"), self._token)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty when there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _authority(origin: str) -> str:
    """Name and port of an origin; `null` has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
