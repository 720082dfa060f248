"""AuthStateActor: one per agent; folds facts and reported failures into verdicts.

Owns: the agent's running sweep, and what it last folded. Receives: SweepAgent, CancelSweep, ContinueSweep (its own).
Sends: SweepFinished. Dies when: the agent leaves the config, at stop, or when a check raises. After a restart: its
sweep is asked for again.

All of them share one thread: four threads make the fold and everybody's event loop slower (one GIL), and 10,000
threads can't be. So a sweep lets others run after each slice, and a cancel is seen between two providers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.clock import Clock
from openclaw_actors.ids import AgentId, ProviderId
from openclaw_actors.messages import CancelSweep, ContinueSweep, SweepAgent, SweepFinished
from openclaw_actors.settings import Settings


@dataclass(slots=True)
class _Sweep:
    asked: SweepAgent
    left: Iterator[ProviderId]
    checks: int = 0


class AuthStateActor(BaseActor):
    """Sweeps one agent, slice by slice."""

    die_on_error = True
    """A sweep that fails would otherwise never be heard of again, and its agent wait for it for ever."""

    def __init__(self, agent_id: AgentId, warmer: Address, clock: Clock, settings: Settings, *, lane: Lane) -> None:
        super().__init__(lane=lane)
        self._agent_id = agent_id
        self._warmer = warmer
        self._clock = clock
        self._slice_s = settings.sweep_slice_ms / 1000
        self._slice_checks = settings.sweep_slice_checks
        self._sweep: _Sweep | None = None
        self._cancelled = 0

    @handles(SweepAgent)
    def _on_sweep_agent(self, message: SweepAgent) -> None:
        if message.serial and message.serial <= self._cancelled:
            return  # the cancel has overtaken it
        evaluation, asked = message.evaluation, message.providers
        if asked is None:
            if evaluation.is_complete:
                # an agent that sees the same sources has folded them already
                self._sweep = _Sweep(message, iter(()))
                self._finish()
                return
            # the others' cells are folded already, for all agents
            asked = tuple(evaluation.own_providers())
        self._sweep = _Sweep(message, iter(asked))
        self._run_slice()

    @handles(ContinueSweep)
    def _on_continue_sweep(self, message: ContinueSweep) -> None:
        if self._sweep is not None and self._sweep.asked.generation == message.generation:
            self._run_slice()

    @handles(CancelSweep)
    def _on_cancel_sweep(self, message: CancelSweep) -> None:
        self._cancelled = max(self._cancelled, message.serial)
        if self._sweep is not None and self._sweep.asked.generation <= message.generation:
            self._sweep = None

    def _run_slice(self) -> None:
        sweep = self._sweep
        assert sweep is not None
        evaluation = sweep.asked.evaluation
        until = self._clock.monotonic() + self._slice_s
        for done, provider in enumerate(sweep.left, start=1):
            evaluation.cell(provider)
            sweep.checks += 1
            if done >= self._slice_checks or self._clock.monotonic() >= until:
                tell(self.actor_ref, ContinueSweep(generation=sweep.asked.generation))
                return
        self._finish()

    def _finish(self) -> None:
        sweep = self._sweep
        assert sweep is not None
        self._sweep = None
        asked = sweep.asked
        self._warmer.tell(
            SweepFinished(
                agent_id=self._agent_id,
                generation=asked.generation,
                evaluation=asked.evaluation,
                providers=asked.providers,
                checks=len(asked.evaluation.table()) if asked.providers is None else sweep.checks,
                serial=asked.serial,
            )
        )

    def on_stop(self) -> None:
        """Drop the sweep that runs; nobody wants its result."""
        self._sweep = None
