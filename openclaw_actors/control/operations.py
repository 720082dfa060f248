"""What a request does to a supervisor, whichever way it came in: it knows no socket."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, final

from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.control.messages import CellAnswer, Rechecked, RecheckRequest, Refused
from openclaw_actors.errors import OpenclawActorsError
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.ids import Generation

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

_READ = frozenset({"ConfigValid", "StoresReadable", "LoginsReadable", "SecretFilesReadable", "DotenvReadable"})
"""Conditions that say whether something could be read."""

_SILENT = frozenset({State.MISSING, State.UNKNOWN})
"""States of a provider that nobody set up which are not worth a line in an answer."""


def begin(supervisor: AuthSupervisor, request: RecheckRequest) -> Rechecking | Refused:
    """Have a supervisor look again; returns at once. Any thread."""
    try:
        return Rechecking(supervisor, request)
    except OpenclawActorsError as error:
        return Refused(error="stopping", message=str(error))


@final
class Rechecking:
    """A recheck under way. Whoever waits for it asks `is_over` at each ring of the bell, and takes the answer then, or
    at the deadline.
    """

    def __init__(self, supervisor: AuthSupervisor, request: RecheckRequest) -> None:
        self._supervisor = supervisor
        self._runtime = supervisor._runtime
        self._request = request
        self._began_at = self._runtime.clock.monotonic()
        self.generation: Generation = supervisor.recheck(request.provider, agent_id=request.agent)
        """The attempt that answers it."""
        self.wait_s = request.wait_s
        """How long its answer is waited for, from now on, in seconds."""

    def is_over(self) -> bool:
        """Tell whether the recheck is answered. Takes no lock."""
        return not self._runtime.wants.is_open(self.generation)

    def answer(self) -> Rechecked:
        """Return what the supervisor has now. No I/O."""
        # before the verdicts: what is called answered must be in them
        answered = self.is_over()
        agents, counts, note = self._scoped()
        return Rechecked(
            pid=os.getpid(),
            instance=self._supervisor.instance_id,
            generation=self.generation,
            answered=answered,
            took_ms=round((self._runtime.clock.monotonic() - self._began_at) * 1000, 3),
            agents=agents,
            counts=counts,
            note=note,
            problems={
                condition.type: condition.message
                for condition in self._supervisor.health().conditions
                if condition.type in _READ and not condition.status
            },
        )

    def _scoped(self) -> tuple[dict[str, dict[str, CellAnswer]], dict[str, dict[str, int]], str]:
        """Return answers, counts and a note, for just what was asked: a home may have thousands of agents."""
        supervisor, provider, known = self._supervisor, self._request.provider, self._supervisor.agent_ids()
        note = (
            ""
            if known
            else "no agent is known yet: the config was not read, or can't be; `status` says what is wrong with it"
        )
        if self._request.agent is not None:
            agent: str = normalise_agent_id(self._request.agent)
            if provider is not None:
                return {agent: _named(supervisor, agent, provider)}, {}, note
            if known and agent not in known:
                return {agent: {}}, {}, f"unknown agent {agent!r}: the config has {', '.join(known)}"
            return {agent: _worth_telling(supervisor, agent)}, {}, note
        if provider is not None:
            return {one: _named(supervisor, one, provider) for one in known}, {}, note
        counts = {}
        for one in known:
            states = Counter(cell.state for cell in supervisor.snapshot(one).table.cells())
            counts[one] = {state.value: states[state] for state in State if states[state]}
        return {}, counts, note


def _named(supervisor: AuthSupervisor, agent: str, provider: str) -> dict[str, CellAnswer]:
    verdict = supervisor.verdict(provider, agent_id=agent)
    return {verdict.provider: _told(verdict)}


def _worth_telling(supervisor: AuthSupervisor, agent: str) -> dict[str, CellAnswer]:
    """Return an agent's answers, without the providers that nobody has set up."""
    configured = supervisor.configured_providers(agent)
    asked = {*supervisor.snapshot(agent).verdicts, *configured}
    verdicts = [supervisor.verdict(provider, agent_id=agent) for provider in sorted(asked)]
    return {one.provider: _told(one) for one in verdicts if one.state not in _SILENT or one.provider in configured}


def _told(verdict: Verdict) -> CellAnswer:
    return CellAnswer(
        state=verdict.state.value,
        has_auth=verdict.has_auth,
        reason=verdict.reason,
        next_step=verdict.next_step,
        fresh=verdict.fresh,
    )
