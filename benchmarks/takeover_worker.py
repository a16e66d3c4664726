"""The actor of the takeover benchmark; apart from it, so that its process imports nothing else."""

from __future__ import annotations

import os
from typing import ClassVar

from actors import Actor, Message, handles


class WhatPid(Message[int]):
    idempotent: ClassVar[bool] = True


class Worker(Actor):
    @handles
    def pid(self, msg: WhatPid) -> int:
        return os.getpid()
