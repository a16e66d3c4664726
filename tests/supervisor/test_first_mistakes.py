"""What a first program gets wrong is told with what to write instead."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, cast

import pytest

from actors import Actor, ActorRef, HandlerError, Message, UsageError, handles
from actors.testing import inline, kill
from supervisor import ChildSpec, InvalidSpec, Routing, Supervisor

LEFT: list[Coroutine[Any, Any, int]] = []


class Order(Message[int]):
    item: str
    count: int


class Forward(Message[int]):
    pass


class Where(Message[ActorRef]):
    pass


class Call(Message[int]):
    ref: ActorRef


class Shop(Actor):
    @handles
    def order(self, msg: Order) -> int:
        return msg.count

    @handles
    def forward(self, msg: Forward) -> int:
        LEFT.append(self.context.actor("shop").ask(Order("tea", 1)))
        return cast("int", LEFT[0])  # not awaited

    @handles
    def where(self, msg: Where) -> ActorRef:
        return self.context.ref

    @handles
    def call(self, msg: Call) -> int:
        return cast("Any", msg.ref).order("tea", 1)  # type: ignore[no-any-return]


@pytest.mark.asyncio
async def test_a_wrong_field_is_named() -> None:
    async with inline(Shop) as shop:
        for count in ("three", None, 1.5):
            with pytest.raises(UsageError, match=r"Expected `int`, got .* at `\$\.count`"):
                await shop.ask(Order("tea", cast("int", count)))
        with pytest.raises(UsageError, match=r"at `\$\.item`"):
            await shop.ask(Order(cast("str", 1), 1))


@pytest.mark.asyncio
async def test_a_method_of_the_actor_is_no_method_of_its_ref() -> None:
    async with inline(Shop) as shop:
        with pytest.raises(AttributeError, match=r"no attribute 'order'; a ref takes messages: await ref\.ask\("):
            cast("Any", shop).order("tea", 1)
        assert not hasattr(shop, "_hidden")


@pytest.mark.asyncio
async def test_a_ref_says_whose_it_is_where_it_lacks_something() -> None:
    async with inline(Shop) as shop:
        with pytest.raises(AttributeError, match=r"'ActorRef\[Shop\]' object has no attribute 'stock'"):
            _ = cast("Any", shop).stock


def test_an_actor_made_by_hand_has_no_context() -> None:
    with pytest.raises(AttributeError, match=r"made by hand, and not in a tree; .*inline\(Shop, \.\.\.\)"):
        Shop().context.log.info("opened")
    assert not hasattr(Shop(), "context")


@pytest.mark.asyncio
async def test_a_ref_that_has_travelled_has_no_methods_either() -> None:
    """In a reply, and in a message to an actor."""
    async with inline(Shop) as shop:
        with pytest.raises(AttributeError, match=r"no attribute 'order'; a ref takes messages: await ref\.ask\("):
            cast("Any", await shop.ask(Where())).order("tea", 1)
        with pytest.raises(HandlerError, match=r"no attribute 'order'; a ref takes messages: await ref\.ask\("):
            await shop.ask(Call(shop))


@pytest.mark.asyncio
async def test_an_ask_that_is_not_awaited_is_no_reply() -> None:
    async with inline(Shop) as shop:
        with pytest.raises(HandlerError, match=r"`ref\.call\(\.\.\.\)` for `ref\.ask\(\.\.\.\)`"):
            await shop.ask(Forward())
    LEFT.pop().close()


def test_a_class_or_a_list_is_no_spec() -> None:
    with pytest.raises(InvalidSpec, match=r"write ChildSpec\(Shop\)"):
        Supervisor(cast("Any", Shop))
    with pytest.raises(InvalidSpec, match=r"Supervisor\(\*specs\)"):
        Supervisor(cast("Any", [ChildSpec(Shop)]))


def test_an_actor_that_was_made_is_no_spec() -> None:
    with pytest.raises(InvalidSpec, match=r"made in its process: write ChildSpec\(Shop, args="):
        Supervisor(cast("Any", Shop()))
    with pytest.raises(UsageError, match=r"is an actor already; .*: Shop, args="):
        ChildSpec(cast("Any", Shop()))


def test_an_actor_is_no_attribute_of_its_tree() -> None:
    root = Supervisor(ChildSpec(Shop))
    with pytest.raises(AttributeError, match=r"no attribute 'shop'; an actor is found by its name: root\['indexer'\]"):
        cast("Any", root).shop.ask(Order("tea", 1))
    assert not hasattr(root, "shop")
    assert not hasattr(root, "__len__")


def test_a_key_that_nothing_looks_at() -> None:
    """Its messages would have no order, though the spec seems to say that they have one."""
    with pytest.raises(InvalidSpec, match=r"\.key: only Routing.BY_KEY looks at it: write routing=Routing.BY_KEY"):
        Supervisor(ChildSpec(Shop, size=2, key="item"))


def test_a_keyed_pool_without_its_key() -> None:
    with pytest.raises(InvalidSpec, match=r"\.key: Routing.BY_KEY goes by a field of each message: .*key='customer'"):
        Supervisor(ChildSpec(Shop, size=2, routing=Routing.BY_KEY))
    with pytest.raises(InvalidSpec, match=r"; Call, Forward, Where have no such field, got 'item'"):
        Supervisor(ChildSpec(Shop, size=2, routing=Routing.BY_KEY, key="item"))


def test_kill_takes_a_ref() -> None:
    with pytest.raises(UsageError, match=r"kill takes the ref of an actor: kill\(root\['indexer'\]\); it is 'shop'"):
        kill(cast("Any", "shop"))


def test_a_plain_with_names_async_with_and_in_thread() -> None:
    with pytest.raises(UsageError, match=r"/root is entered by `async with`; .*in_thread"), cast("Any", Supervisor)():
        pass
