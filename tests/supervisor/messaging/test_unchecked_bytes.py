"""What a process sends to another actor without the check of its ref is that message's trouble, at the receiver."""

from __future__ import annotations

from actors.wire.codec import encode
from supervisor import ChildSpec, DeadReason, Supervisor
from tests.support.engines import either_way
from tests.support.forgers import Forge, Forger, Reader, Text, Wrong
from tests.support.waiting import dead_letter

TREE = (ChildSpec(Reader, name="reader"), ChildSpec(Forger, name="forger"))
FORGED = [encode(["Text", 7]), encode(["Text"]), b"\x92\xa4Text\xa1\xff", b"\x92\xa4Text" + b"\x91" * 900 + b"\xc0"]


@either_way
async def test_bytes_of_a_process_that_checks_nothing():
    """They do not decode where they arrive: a dead letter each, and neither actor dies."""
    async with Supervisor(*TREE, spares=0) as root:
        letters = root.dead_letters()
        for data in FORGED:
            await root["forger"].ask(Forge(data), timeout=60)
            letter = await dead_letter(letters)
            assert ("/root/reader", DeadReason.UNDECODABLE, None) == (letter.actor, letter.reason, letter.message)
        assert "x" == await root["reader"].ask(Text("x"), timeout=60)
        assert [1, 1] == [child.life for child in root.snapshot().children]


@either_way
async def test_a_ref_checks_what_it_sends():
    """Before anything is sent; of many messages it says which."""
    async with Supervisor(*TREE, spares=0) as root:
        for way, words in (
            ("ask", "Text cannot be sent: Expected `str`"),
            ("tell", "Text cannot be sent: Expected `str`"),
            ("tell_nowait", "Text cannot be sent: Expected `str`"),
            ("many", "message 1 of this call: Text cannot be sent: Expected `str`"),
        ):
            assert words in await root["forger"].ask(Wrong(way), timeout=60)
        assert 0 == sum(root.snapshot().children[0].fates.values())


@either_way
async def test_what_the_other_does_not_handle_is_named():
    """To its sender, by its index among many, and in the dead letter of one that is not waited for."""
    async with Supervisor(*TREE, spares=0) as root:
        letters = root.dead_letters()
        for way, words in (
            ("strange", "/root/reader does not handle Strange"),
            ("strange asks", "message 1500 of this call: /root/reader does not handle Strange"),
            ("strange tells", "message 1500 of this call: /root/reader does not handle Strange"),
        ):
            said = await root["forger"].ask(Wrong(way), timeout=60)
            assert said.startswith(f"{words}; it handles Text")
            assert said.endswith("Add a method marked @handles with a parameter annotated Strange")
        await root["forger"].ask(Wrong("lost"))
        named = [((letter := await dead_letter(letters)).actor, letter.message_type) for _ in range(2)]
        assert [("/root/reader", "Strange"), ("/root/nobody", "Strange")] == named
