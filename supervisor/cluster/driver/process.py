"""Driver process: joins the Ray cluster for one tree, starts its agents, and says when Ray has seen one end.

Ray is here and not in the daemon: it is large, it sets signal handlers and threads, and it aborts its process when the
head of its cluster is gone for long. When this process ends, Ray ends the agents it has started.

    daemon ═ socket ═▶ main thread: one call after the other ─▶ Ray
           ◀═══════════ answers, from any thread of Ray's

Runs as `python -m supervisor.cluster.driver.process <descriptor of the socket>`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actors.wire.codec import encode
from actors.wire.framing import Framer, header
from supervisor.cluster.driver import protocol as say
from supervisor.core.rules.spare_count import SpareCount

CHUNK: Final = 64 * 1024  # bytes read at once
AGAIN: Final = 0.5  # seconds until an agent that cannot be reached is asked again
HEAD_TIME: Final = 5.0  # seconds for the head to take a connection; Ray itself would try for minutes
HANG_UP: Final = 8.0  # seconds for an orderly end once the daemon is gone
QUIET: Final = {"RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class NotJoined(Exception):
    """There is no cluster to join, or it is of another kind; the text is for people."""


class Driver:
    """The calls of one daemon.

    Args:
        sock: to the daemon.
        ray: the module.
    """

    def __init__(self, sock: socket.socket, ray: Any) -> None:
        self._sock = sock
        self._ray = ray
        self._sending = threading.Lock()
        self._agents: dict[int, Any] = {}
        self._reserved: dict[int, Any] = {}
        self._host: Any = None

    def serve(self) -> None:
        """Do what the daemon says until it ends."""
        framer = Framer()
        while data := self._sock.recv(CHUNK):
            for frame in framer.feed(data):
                call = say.read_to_driver(frame)  # type: ignore[arg-type]  # no attachments are sent
                try:
                    self._do(call)
                except NotJoined as error:
                    self._tell(say.Failed(getattr(call, "call", 0), str(error)))
                except Exception as error:
                    self._tell(say.Failed(getattr(call, "call", 0), _in_words(error)))

    def _do(self, call: say.ToDriver) -> None:
        match call:
            case say.Join():
                self._join(call)
            case say.ListMachines():
                machines = [_machine(node) for node in self._ray.nodes() if node["Alive"]]
                self._tell(say.MachinesAre(call.call, machines))
            case say.StartAgent():
                self._start_agent(call)
            case say.EndAgent():
                agent = self._agents.pop(call.agent, None)
                if agent is not None:
                    self._ray.kill(agent)
            case say.Reserve():
                self._reserve(call)
            case say.Release():
                group = self._reserved.pop(call.reservation, None)
                if group is not None:
                    self._ray.util.remove_placement_group(group)

    def _join(self, call: say.Join) -> None:
        own = {"num_cpus": os.cpu_count(), "include_dashboard": False} if call.address == "local" else {}
        if call.address is not None and ":" in call.address:
            _check_head(call.address)
        try:
            self._ray.init(
                address=call.address,
                runtime_env=call.runtime_env or None,
                log_to_driver=False,
                logging_level="error",
                namespace=f"actors-{os.urandom(8).hex()}",
                **own,
            )
        except ConnectionError as error:
            raise NotJoined(_why_not_connected(error)) from error
        except RuntimeError as error:  # of several lines: what the cluster has, and what is here
            raise NotJoined(" ".join(str(error).split())) from error
        self._host = self._ray.remote(_host_class())
        self._tell(say.Joined(call.call))

    def _start_agent(self, call: say.StartAgent) -> None:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(call.machine, soft=False)
        options = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": 4, "scheduling_strategy": strategy}
        agent = self._host.options(**options).remote(call.paths)
        self._agents[call.call] = agent

        def started(told: Mapping[str, Any]) -> None:
            versions = {name: str(told[name]) for name in ("python", "msgspec", "project")}
            self._tell(say.AgentIs(call.call, told["host"], told["port"], versions, told["values"]))
            self._watch(call.call, agent)

        def failed(error: BaseException) -> None:
            # Ray lists a machine for some seconds after its death, and ends what was to start there; or the project is
            # not installed there, or its environment cannot be made.
            self._tell(say.Failed(call.call, _why_no_agent(error), elsewhere=True))

        _when_done(agent.start.remote(call.token, call.lease, call.spares), started, failed)

    def _watch(self, number: int, agent: Any) -> None:
        """Say when Ray has seen the end of the agent's process.

        An agent that cannot be reached, or whose whole node Ray believes dead, may only be cut off.
        """

        def ended(error: BaseException) -> None:
            if number not in self._agents:
                return
            if type(error).__name__ != "ActorDiedError":
                again = threading.Timer(AGAIN, self._watch, (number, agent))
                again.daemon = True
                again.start()
            elif "node" not in str(error).partition("died because")[2].partition("\n")[0]:
                self._tell(say.AgentEnded(number, _in_words(error)))

        _when_done(agent.join.remote(), lambda _: None, ended)

    def _reserve(self, call: say.Reserve) -> None:
        group = self._ray.util.placement_group([call.resources])
        self._reserved[call.call] = group

        def failed(error: BaseException) -> None:
            self._tell(say.Failed(call.call, _in_words(error)))

        def placed(_: object) -> None:
            machine = self._ray.util.placement_group_table(group)["bundles_to_node_id"][0]
            if "GPU" in call.resources:
                look = self._look_at_devices(group, call.resources["GPU"])
                _when_done(look, lambda env: self._tell(say.Reserved(call.call, machine, env)), failed)
            else:
                self._tell(say.Reserved(call.call, machine, {}))

        _when_done(group.ready(), placed, failed)

    def _look_at_devices(self, group: Any, count: float) -> Any:
        """Which devices Ray has given to a reservation: it tells only a task that runs there."""
        strategy = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(placement_group=group)
        options = {"num_cpus": 0, "num_gpus": count, "scheduling_strategy": strategy}
        return self._ray.remote(_devices).options(**options).remote()

    def _tell(self, value: msgspec.Struct) -> None:
        data = encode(value)
        with self._sending, contextlib.suppress(OSError):
            self._sock.sendall(header(len(data)) + data)


def _check_head(address: str) -> None:
    """Check that something listens at the address of the head.

    Raises:
        NotJoined: nothing does.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), HEAD_TIME).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise NotJoined(
            f"no head of a Ray cluster answers at {address}: {why}; is it up, and is this its address?"
        ) from error


def _why_not_connected(error: ConnectionError) -> str:
    """What Ray says only in the text of the cause, or not at all."""
    if "AuthenticationError" in str(error.__cause__):
        return (
            "the head of the cluster wants its token: start the daemon with RAY_AUTH_MODE=token, and have the token of "
            "the head's ~/.ray/auth_token in the same file here"
        )
    if str(error).startswith("Could not find any running Ray"):
        return (
            "no Ray runs on this machine: start one with `ray start`, or name the head of its cluster: "
            "RayCluster(address='host:port')"
        )
    return _in_words(error)


def _when_done(ref: Any, done: Callable[[Any], None], failed: Callable[[BaseException], None]) -> None:
    """Call one of the two when Ray has a result; in a thread of Ray's."""

    def over(future: Any) -> None:
        error = future.exception()
        if error is not None:
            failed(error)
            return
        try:
            done(future.result())
        except Exception as wrong:
            failed(wrong)

    ref.future().add_done_callback(over)


def _devices() -> dict[str, str]:
    """The variables that name a task's devices. Sent by value, as its module is the main one."""
    import os  # noqa: PLC0415 - it runs where this module is not

    names = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR")
    return {name: os.environ[name] for name in names if name in os.environ}


def _host_class() -> type:
    """The Ray actor that holds an agent. It is sent by value: a machine without this project can say so."""

    class Host:
        def __init__(self, paths: list[str]) -> None:
            import sys  # noqa: PLC0415 - this class runs where its module is not

            sys.path.extend(path for path in paths if path not in sys.path)

        def start(self, token: bytes, lease: float, spares: SpareCount) -> dict[str, Any]:
            import ray  # noqa: PLC0415 - as above

            from supervisor.cluster.agent.agent import Agent  # noqa: PLC0415 - as above

            self._agent = Agent(token, lease, spares, ray.util.get_node_ip_address())
            return self._agent.start()

        def join(self) -> None:
            self._agent.join()

    Host.__module__ = "__main__"
    return Host


def _machine(node: Mapping[str, Any]) -> say.MachineIs:
    labels, resources = node.get("Labels") or {}, node.get("Resources") or {}
    names = [node["NodeID"], node.get("NodeName", ""), node["NodeManagerHostname"], node["NodeManagerAddress"]]
    words = {*names, *labels.values(), *(f"{name}={value}" for name, value in labels.items())}
    words |= {name for name in resources if not name.startswith(("node:", "CPU", "memory", "object_store_memory"))}
    name = node.get("NodeName") or node["NodeManagerAddress"]
    return say.MachineIs(node["NodeID"], name, sorted(word for word in words if word), resources.get("CPU", 0.0))


def _in_words(error: BaseException) -> str:
    """The last line of what Ray says, which names the cause."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).strip().splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    return f"{type(cause).__name__}: {said}" if said and type(cause).__name__ not in said else said or repr(cause)


def _why_no_agent(error: BaseException) -> str:
    cause = getattr(error, "cause", None)
    if isinstance(cause, ModuleNotFoundError) and (cause.name or "").partition(".")[0] in ("actors", "supervisor"):
        return f"this project is not there ({cause}): pip install 'actor-supervisor[ray]' there"
    return _in_words(error)


def _end_with_the_daemon(sock: socket.socket) -> None:
    """A call of Ray's may never return, and its end may hang."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll()
    time.sleep(HANG_UP)
    os._exit(1)


def main() -> None:
    """See the module."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    threading.Thread(target=_end_with_the_daemon, args=(sock,), daemon=True).start()
    import ray  # noqa: PLC0415 - only here
    import ray.util.scheduling_strategies  # noqa: PLC0415 - as above

    try:
        Driver(sock, ray).serve()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
