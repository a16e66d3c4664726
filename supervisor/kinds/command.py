"""CommandChild: a child that is a program.

    start ─▶ port, notify socket ─▶ spawn ─▶ exec ─▶ Readiness ─▶ ChildReady
    stop  ─▶ stop signal ─▶ exit ─▶ ChildExited; whatever it has started is killed

Runs on the loop's thread.
"""

from __future__ import annotations

import signal
from typing import ClassVar

import msgspec

from actors.exits import ExitKind, ExitReason, ExitReport
from actors.wire.log_lines import Record
from actors.wire.to_child import ProcessOptions, StartActor
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.process_end import command_exit_reason
from supervisor.core.terms import LoneKind
from supervisor.core.tree.commands import ReportExit
from supervisor.kinds.lone_child import Post
from supervisor.kinds.process_child import ProcessChild
from supervisor.kinds.readiness import Readiness, readiness_of
from supervisor.kinds.tcp_ports import check_free, free_port
from supervisor.messaging.tree_context import TreeContext
from supervisor.ports.life import Control
from supervisor.specs import CommandSpec
from supervisor.specs.common import process_options
from supervisor.specs.ready import PORT, PortReady
from supervisor.system.procfs import group_runs


class CommandChild(ProcessChild[CommandSpec]):
    """A child that is a program."""

    kind: ClassVar[LoneKind] = "command"

    def __init__(self, spec: CommandSpec, path: str, tree: TreeContext, post: Post) -> None:
        super().__init__(spec, path, tree, post)
        self._readiness: Readiness | None = None
        self._stop_signal = int(signal.Signals[spec.stop_signal])

    @property
    def port(self) -> int | None:
        """The port that stands for `{port}`, None without one."""
        return self._tree.ports.get(self.path)

    @property
    def awaits(self) -> str:
        """What has to happen before it is ready, in words; empty once it is."""
        return "" if self._readiness is None else self._readiness.words

    def forget(self) -> None:
        """Its spec is gone, and its port is free for others."""
        self._tree.ports.pop(self.path, None)

    def kill(self, life: int) -> None:
        """Kill it; what it writes at its end does not make it ready any more."""
        if self._readiness is not None:
            self._readiness.close()
        super().kill(life)

    def _launch(self, life: int) -> Control:
        spec = self.spec
        self._look_for_port()
        readiness = readiness_of(spec, self.port, self._tree.loop, super().life_ready)
        try:
            start = StartActor(
                path=self.path,
                life=life,
                module="",
                qualname=spec.argv[0],
                arguments=b"",
                conditions=self._options(readiness),
                captured=spec.output == "capture",
            )
            argv = tuple(self._with_port(word) for word in spec.argv)
            started = self._tree.launcher.launch_command(start, argv, self._stop_signal, self)
        except BaseException:
            readiness.close()
            raise
        self._readiness = readiness
        return started

    def _look_for_port(self) -> None:
        """Choose its port, keep it where it is free, or check that nothing else has the one of `Ready.port`.

        As long as something of its last life is there, that may hold the port, and is about to be killed.
        """
        last = self.last_report
        if last is not None and last.pid is not None and group_runs(last.pid):
            return
        ready = self.spec.ready
        if self.spec.wants_port:
            self._tree.ports[self.path] = free_port(self.port)
        elif isinstance(ready, PortReady) and isinstance(ready.number, int):
            check_free(ready.host, ready.number)

    def _options(self, readiness: Readiness) -> ProcessOptions:
        options = process_options(self.spec)
        env = {name: self._with_port(value) for name, value in options.env.items()}
        return msgspec.structs.replace(options, env={**env, **readiness.environment})

    def _with_port(self, text: str) -> str:
        return text if self.port is None else text.replace(PORT, str(self.port))

    def _reason(self, end: LifeEnd) -> ExitReason:
        return command_exit_reason(end, self._stop_signal)

    def _report(self, command: ReportExit, uptime: float) -> ExitReport:
        report = super()._report(command, uptime)
        end, readiness = self._end, self._readiness
        if command.reason.kind is ExitKind.UNSTARTED and end is not None and (end.stop_asked or end.kill_asked):
            waited = "" if readiness is None else readiness.words
            reason = ExitReason(ExitKind.UNSTARTED, "; ".join(filter(None, (command.reason.detail, waited))))
            return msgspec.structs.replace(report, reason=reason)
        return report

    # ---- LifeListener

    def life_ready(self) -> None:
        """Its program runs."""
        if self._readiness is not None:
            self._readiness.begin()

    def life_wrote(self, life: int, record: Record) -> None:
        """See `LifeListener`."""
        super().life_wrote(life, record)
        if self._readiness is not None and life == self._number:
            self._readiness.line(str(record.fields.get("text", record.event)))

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        if self._readiness is not None:
            self._readiness.close()
        super().life_exited(end)

    def awaits_line(self, line: bytes) -> bool:
        """See `CommandListener`."""
        return self._readiness is not None and self._readiness.awaits(line)
