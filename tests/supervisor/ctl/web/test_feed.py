"""What pages read of the feed, however slowly."""

from __future__ import annotations

import json

from supervisor.ctl.web.feed import KEPT, Feed, Part


async def read(feed, count):
    reading = feed.read()
    parts = [await anext(reading) for _ in range(count)]
    return parts, reading


async def test_the_newest_state_and_then_what_changes():
    feed = Feed()
    feed.put("tree", 1)
    feed.put("tree", 2)
    feed.happened("died")
    parts, reading = await read(feed, 2)
    assert [Part("tree", "2"), Part("events", '["died"]')] == parts
    feed.put("tree", 2)  # is not a change
    feed.happened("ready")
    assert Part("events", '["ready"]') == await anext(reading)
    feed.put("tree", 3)
    assert Part("tree", "3") == await anext(reading)


async def test_a_page_that_does_not_read_costs_no_memory():
    """It gets what is newest when it reads; events are bounded."""
    feed = Feed()
    feed.put("tree", 0)
    _, slow = await read(feed, 1)
    for number in range(3 * KEPT):
        feed.put("tree", number)
        feed.happened(number)
    tree, events = await anext(slow), await anext(slow)
    assert str(3 * KEPT - 1) == tree.data
    assert list(range(2 * KEPT, 3 * KEPT)) == json.loads(events.data)


async def test_the_end():
    feed = Feed()
    feed.put("tree", 1)
    _, reading = await read(feed, 1)
    feed.close()
    assert [] == [part async for part in reading]
