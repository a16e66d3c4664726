"""A daemon as systemd starts one: its actor starts slowly; SIGHUP is a reload, at which it changes its health."""

from __future__ import annotations

import asyncio
import signal

from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor
from tests.support.taking_time import work


class Reload(Message[None]):
    pass


class Patient(Actor):
    def __init__(self) -> None:
        self.unwell = False
        work(0.3)

    def health(self) -> str | None:
        return "unwell" if self.unwell else None

    @handles
    def reload(self, _: Reload) -> None:
        self.unwell = not self.unwell


async def main() -> None:
    async with Supervisor(ChildSpec(Patient)) as root:

        def reload() -> None:
            with root.reloading():
                root["patient"].tell_nowait(Reload())

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        await root.serve()


if __name__ == "__main__":
    asyncio.run(main())
