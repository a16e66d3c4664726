"""The stream to a page is whole, in whatever moment the server is asked to stop."""

from __future__ import annotations

import asyncio

import pytest
from sse_starlette.sse import AppStatus

from supervisor.ctl.web.feed import Feed
from supervisor.ctl.web.live import Live
from tests.support.waiting import DEADLINE

SCOPE = {"type": "http", "method": "GET", "path": "/live", "headers": []}


@pytest.mark.parametrize("moment", ["before it begins", "while it is open"])
async def test_it_ends_whole_when_the_server_is_asked_to_stop(monkeypatch, moment):
    """The server does not say that a response was not completed."""
    monkeypatch.setattr(AppStatus, "should_exit", moment == "before it begins")
    feed, sent = Feed(), []
    feed.put("tree", 1)

    async def send(message):
        sent.append(message)
        monkeypatch.setattr(AppStatus, "should_exit", True)

    async with asyncio.timeout(DEADLINE):
        await Live(part.data async for part in feed.read())(SCOPE, asyncio.Event().wait, send)
    assert ["http.response.start", "http.response.body"] == [sent[0]["type"], sent[-1]["type"]]
    assert not sent[-1].get("more_body")
