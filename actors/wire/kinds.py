"""Kinds: how a message is sent and how it ends, as the small ints that frames carry. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

TELL: Final = 0  # no reply
ASK: Final = 1  # one reply
STREAM: Final = 2  # items, then a nil reply
FEED: Final = 3  # as ASK, and items follow the message

REPLY: Final = 0  # payload: the reply, encoded as the message's reply type
FAILED: Final = 1  # payload: Failure
REJECTED: Final = 2  # payload: the text of the refusal
DONE: Final = 3  # a tell of a concurrent actor has ended; no payload
CANCELLED: Final = 4  # cancelled before it began
EXPIRED: Final = 5  # its deadline had passed before it began
UNDECODABLE: Final = 6  # payload: what is wrong with it
STOPPED: Final = 7  # Answer only: the other actor is down for good; payload: the text
CRASHED: Final = 8  # Answer only: payload: [text, started, finished]
UNKNOWN: Final = 9  # Answer only: no actor has that name; payload: the text
FULL: Final = 10  # Answer only: its mailbox is full; payload: the text
ACCEPTED: Final = 11  # Answer only: the mailbox has taken the tell
CYCLE: Final = 12  # Answer only: waiting for the reply would close a cycle of waits; payload: the text
ITEM: Final = 13  # one item of a stream, which continues; payload: the item
WANT: Final = 14  # a feed may send more items; payload: how many
BESIDE: Final = 15  # as REPLY, the reply is the attachment before this frame
ENDS: Final = 16  # Answer only: some messages of a SendMany have ended, others follow; payload: list[End]
SHARED_REPLY: Final = 17  # as REPLY, with values in shared memory: the attachments before this frame
SHARED_ITEM: Final = 18  # as ITEM, likewise
ITEMS: Final = (ITEM, SHARED_ITEM)

NOTHING: Final = msgspec.Raw(b"\xc0")  # an empty payload: msgpack's nil
