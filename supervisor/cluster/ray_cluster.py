"""RayCluster: the machines of a Ray cluster, for `Supervisor(..., cluster=...)`. Ray itself is loaded by the driver."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.bounds import is_time, shown
from actors.errors import UsageError
from actors.wire.codec import encode
from supervisor.cluster.driver.client import RayDriver
from supervisor.cluster.machines import ClusterMachines
from supervisor.core.rules.spare_count import SpareCount
from supervisor.known_options import tells_options
from supervisor.ports.launching import MachinesSay
from supervisor.ports.reading import AnyReader

SHORTEST: Final = 0.5  # seconds of a lease: below, a busy machine would lose it without a fault


@tells_options
@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """The machines of a Ray cluster, for specs with a `place`.

    Several trees may use one cluster; each has an agent of its own on every machine that it uses.

    Args:
        address: as `ray.init` takes it: "auto" for the cluster to which this machine belongs, "host:port" of its head,
            "local" for a cluster of this machine alone, for the time of the tree.
        runtime_env: as `ray.init` takes it: how code and packages come to the machines.
        lease: seconds without word from the daemon after which a machine ends all of the daemon's lives. One second
            later the daemon begins them elsewhere.

    Raises:
        UsageError: Ray is not installed, or an argument cannot work.
    """

    address: str | None = "auto"
    runtime_env: Mapping[str, Any] | None = field(default=None, repr=False)
    lease: float = 5.0

    def __post_init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UsageError("RayCluster needs Ray, which is not installed: pip install 'actor-supervisor[ray]'")
        if isinstance(self.address, str) and self.address.startswith("ray://"):
            raise UsageError(
                f"address {self.address!r} is of Ray's client, which is not a machine of the cluster; run the daemon "
                "on one, with address='auto'"
            )
        if self.address is not None and not _is_address(self.address):
            raise UsageError(f"address must be 'auto', 'local' or 'host:port', it is {shown(self.address)}")
        if self.runtime_env is not None and not isinstance(self.runtime_env, Mapping):
            raise UsageError(f"runtime_env must be a mapping, as of ray.init, or None; it is {shown(self.runtime_env)}")
        try:
            encode(dict(self.runtime_env or {}))
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                f"runtime_env must be of plain values, since the process that uses Ray gets it: {error}; name modules "
                f"by their paths"
            ) from None
        if not is_time(self.lease, SHORTEST):
            raise UsageError(f"lease must be seconds, at least {SHORTEST:g}; it is {shown(self.lease)}")

    def enter(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        spares: SpareCount,
        say: MachinesSay,
    ) -> ClusterMachines:
        """See `Cluster`."""
        driver = RayDriver(self.address, dict(self.runtime_env or {}), loop, reader)
        return ClusterMachines(path, loop, spares=spares, on_news=say, driver=driver, lease=self.lease)


def _is_address(address: object) -> bool:
    """Whether it names a cluster as `ray.init` does."""
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return address in ("auto", "local") or bool(host and port.isascii() and port.isdigit() and int(port) < 65536)
