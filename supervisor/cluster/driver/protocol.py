"""Protocol: what the daemon and its driver, the process that uses Ray, say to each other."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from supervisor.core.rules.spare_count import SpareCount

# ---- daemon to driver; `call` is the number of the answer


class Join(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Join the cluster."""

    call: int
    address: str | None
    runtime_env: dict[str, Any]


class ListMachines(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Which machines are alive."""

    call: int


class StartAgent(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Start an agent on a machine."""

    call: int
    machine: str
    token: bytes
    lease: float
    spares: SpareCount
    paths: list[str]


class EndAgent(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """End an agent; `agent` is the call that started it."""

    agent: int


class Reserve(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Reserve resources on any machine."""

    call: int
    resources: dict[str, float]


class Release(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Give a reservation back, or want it no more; `reservation` is the call that made it."""

    reservation: int


ToDriver = Join | ListMachines | StartAgent | EndAgent | Reserve | Release


# ---- driver to daemon


class MachineIs(msgspec.Struct, frozen=True, array_like=True):
    """One machine, as Ray describes it."""

    key: str
    name: str
    words: list[str]
    cpus: float


class Joined(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """It is a member of the cluster."""

    call: int


class MachinesAre(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """Those that are alive."""

    call: int
    machines: list[MachineIs]


class AgentIs(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """An agent listens.

    Attributes:
        versions: of what runs there.
        values: name of the Unix socket over which values in shared memory pass, on its machine; empty where none is.
    """

    call: int
    host: str
    port: int
    versions: dict[str, str]
    values: str = ""


class Reserved(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """Resources are reserved on that machine.

    Attributes:
        env: variables by which libraries find the devices, as CUDA_VISIBLE_DEVICES.
    """

    call: int
    machine: str
    env: dict[str, str]


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """A call has failed, and why.

    Attributes:
        elsewhere: whether it is the machine that failed, so the same call may work on another.
    """

    call: int
    why: str
    elsewhere: bool = False


class AgentEnded(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """Ray has seen the end of an agent's process."""

    agent: int
    why: str


FromDriver = Joined | MachinesAre | AgentIs | Reserved | Failed | AgentEnded
Answer = Joined | MachinesAre | AgentIs | Reserved | Failed

read_to_driver: Final = msgspec.msgpack.Decoder(ToDriver).decode
read_from_driver: Final = msgspec.msgpack.Decoder(FromDriver).decode
