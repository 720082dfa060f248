"""What happens to actors and time."""

from __future__ import annotations

from openclaw_actors.messages import (
    ReportFailure,
    ReportSuccess,
)
from openclaw_actors.testing.crashes import Crash, CrashPoint
from openclaw_actors.testing.simulation.coverage import ALL_TYPES
from openclaw_actors.testing.simulation.state import WorldState

SPANS_S = (0.001, 0.02, 0.06, 0.26, 1.0, 1.0, 5.1, 31.0, 400.0)
JUMPS_S = (-86_400.0, -40.0, -0.4, 40.0, 86_400.0)
SOMETHING = "something else happens (a read is done, an alarm rings)"
_SOON_S = 5.0
"""How long an idle step waits at most for what is due."""


def _crash_of(point: int, effect: int) -> Crash:
    return Crash(tuple(CrashPoint)[point % len(CrashPoint)], (1, 1, 1, 2, 3)[effect % 5])


class ActorActs(WorldState):
    """Steps, crashes, restarts and clocks."""

    def _do_step(self, pick: int, _b: int, _c: int) -> str:
        said = self._step(pick)
        if said:
            return said
        due_s = self.supervisor.dispatcher.next_due_s
        if due_s is None or due_s > _SOON_S:
            return ""
        self.supervisor.clock.advance(max(0.0, due_s))
        return f"{due_s:.3f} s pass until something is due"

    def _step(self, pick: int | None = None) -> str:
        """Let one thing happen, or the crash that waits for it."""
        dispatcher = self.supervisor.dispatcher
        if self._next_crash is not None:
            kind, crash = self._next_crash
            for name in dispatcher.busy:
                waiting = dispatcher.actor(name).inbox.waiting()  # of the newest of that name
                if waiting and type(waiting[0]).__name__ == kind:
                    self._next_crash = None
                    return self._crash(name, crash)
        return SOMETHING if self.supervisor.step(pick) else ""

    def _do_look_after(self, _a: int, _b: int, _c: int) -> str:
        before = (self.supervisor.stats().restarts, self.supervisor.dispatcher.living)
        self.supervisor.look_after()
        after = (self.supervisor.stats().restarts, self.supervisor.dispatcher.living)
        return "the supervisor starts again what died" if before != after else ""

    def _do_advance(self, span: int, run: int, _c: int) -> str:
        span_s = SPANS_S[span % len(SPANS_S)]
        if run % 4:
            self.supervisor.dispatcher.advance(span_s, run=False)
            return f"{span_s:g} s pass, and what is due waits"
        clock, until = self.supervisor.clock, self.supervisor.clock.monotonic() + span_s
        while True:
            while self._step():
                pass
            restart_s = self.supervisor.runtime.look_after()
            if self.supervisor.dispatcher.busy:
                continue
            left_s = until - clock.monotonic()
            if left_s <= 0:
                return f"{span_s:g} s pass, with all that is due"
            ahead = (left_s, restart_s, self.supervisor.dispatcher.next_due_s)
            clock.advance(max(0.0, min(one_s for one_s in ahead if one_s is not None)))

    def _do_set_clock(self, jump: int, _b: int, _c: int) -> str:
        jump_s = JUMPS_S[jump % len(JUMPS_S)]
        self.refused.clear()
        self.supervisor.clock.jump_epoch(jump_s)
        return f"the wall clock is set by {jump_s:+g} s"

    def _do_crash(self, who: int, point: int, effect: int) -> str:
        busy = self.supervisor.dispatcher.busy
        return self._crash(busy[who % len(busy)], _crash_of(point, effect)) if busy else ""

    def _do_crash_at(self, kind: int, point: int, effect: int) -> str:
        """Have the next message of some type meet a crash: rare types are met as often as others."""
        if self._next_crash is not None and effect % 2:
            return ""  # it has not come yet
        self._next_crash = (ALL_TYPES[kind % len(ALL_TYPES)], _crash_of(point, effect))
        return ""

    def _crash(self, name: str, crash: Crash) -> str:
        dispatcher, where = self.supervisor.dispatcher, crash.point
        message = next(iter(dispatcher.actor(name).inbox.waiting()), None)
        kind = type(message).__name__
        if kind not in ALL_TYPES:
            return ""  # pykka's stop, or nothing for the newest of that name
        if isinstance(message, ReportFailure | ReportSuccess):
            self.refused.clear()  # the report itself is what gets lost
            self.cleared.add(message.evidence_id)
        failures = dispatcher.stats().handler_errors
        dispatcher.crash(name, crash)
        if where in (CrashPoint.BEFORE, CrashPoint.AFTER) or dispatcher.stats().handler_errors > failures:
            self.coverage.crashed[kind, str(where)] += 1
            return f"{name} crashes ({where}) at {kind}"
        return f"{name} handles {kind}"

    def _do_kill(self, who: int, _b: int, _c: int) -> str:
        living = self.supervisor.dispatcher.living
        if not living:
            return ""
        name = living[who % len(living)]
        waits = [message for at, message in self.supervisor.dispatcher.pending() if at == name]
        if any(isinstance(message, ReportFailure | ReportSuccess) for message in waits):
            self.refused.clear()
        self.supervisor.dispatcher.kill(name)
        return f"{name} is killed with {len(waits)} messages waiting"
