"""FunctionChild: a child that is a plain function in a process of its own.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from actors.child.function_main import Call
from actors.exits import ExitKind, ExitReason
from actors.wire.to_child import StartActor
from supervisor.callables import READY, name_of
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.process_end import function_exit_reason
from supervisor.core.terms import LoneKind
from supervisor.kinds.process_child import ProcessChild
from supervisor.monitors.examination import Examination
from supervisor.observe.logs import actor_logger, level_of
from supervisor.ports.life import Inspected, Inspection
from supervisor.process.spawn.lean_spawn import main_module
from supervisor.specs import FunctionSpec
from supervisor.specs.common import process_options


class FunctionChild(ProcessChild[FunctionSpec]):
    """A child that is a plain function in a process of its own."""

    kind: ClassVar[LoneKind] = "function"
    _examination: Examination | None = None
    _was_ready = False

    @property
    def life(self) -> Inspection | None:
        """The process of its current life, None without one."""
        return None if self._life is None else self._inspected

    def examine(self, life: int, then: Callable[[], None]) -> None:  # noqa: ARG002 - it has one life at a time
        """Ask it for its stacks, then call `then`; at once when it has no process."""

        def seen() -> None:
            self._stacks, self._place = examination.stacks, examination.place
            then()

        if self._life is None or self._life.pid is None:
            then()
            return
        examination = Examination(self._inspected, self._tree.loop, heartbeat=self._tree.heartbeats, then=seen)
        self._examination = examination

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._close_examination()
        self._was_ready = True
        super().life_ready()

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._close_examination()
        super().life_exited(end)

    def _close_examination(self) -> None:
        if self._examination is not None:
            self._examination.close()
            self._examination = None

    def _launch(self, life: int) -> Inspected:
        spec = self.spec
        self._was_ready = False
        start = StartActor(
            path=self.path,
            life=life,
            module=getattr(spec.function, "__module__", None) or "",
            qualname=name_of(spec.function),
            arguments=b"",
            conditions=process_options(spec),
            main=main_module() if spec.needs_main else {},
            captured=spec.output == "capture",
            log_level=level_of(actor_logger(self.path)),
            heartbeat=self._tree.heartbeats,
        )
        call = Call(spec.function, spec.args, spec.kwargs, READY if spec.calls_ready else "")
        self._inspected = self._tree.launcher.launch_function(start, call, self)
        return self._inspected

    def _reason(self, end: LifeEnd) -> ExitReason:
        reason = function_exit_reason(end)
        if reason.kind is ExitKind.NORMAL and self.spec.calls_ready and not self._was_ready:
            return ExitReason(ExitKind.NORMAL, f"{reason.detail}, and had not called ready()")
        return reason
