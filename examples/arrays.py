"""A type that msgpack does not know: numpy arrays in messages and replies, through a codec.

python examples/arrays.py
"""

import asyncio
from typing import Any

import numpy as np
import numpy.typing as npt

from actors import Actor, Codec, Message, handles
from supervisor import ChildSpec, Supervisor

Array = npt.NDArray[Any]


def to_plain(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def from_plain(plain: tuple[str, tuple[int, ...], bytes]) -> Array:
    dtype, shape, data = plain
    return np.frombuffer(data, dtype).reshape(shape)


class Scale(Message[np.ndarray]):
    array: np.ndarray
    factor: float


class Scaler(Actor):
    codecs = (Codec(np.ndarray, to_plain, from_plain),)

    @handles
    def scale(self, msg: Scale) -> Array:
        return msg.array * msg.factor


async def main() -> None:
    async with Supervisor(ChildSpec(Scaler)) as root:
        print(await root["scaler"].ask(Scale(np.arange(6.0).reshape(2, 3), 10.0)))


if __name__ == "__main__":
    asyncio.run(main())
