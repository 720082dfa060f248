"""In the end: what must not have moved, and whether a supervisor that starts now gives the same answers."""

from __future__ import annotations

from bench.homes import Home
from bench.soak.violations import Violations
from openclaw_actors import AuthSupervisor, Verdict
from openclaw_actors.ids import ProviderId

WARM_S = 60.0
"""How long a warm may take, in seconds."""

Generations = dict[tuple[str, str], int]


def generations(supervisor: AuthSupervisor, agents: tuple[str, ...], without: frozenset[str]) -> Generations:
    """Return which attempt each cell of some agents belongs to, without those of some providers."""
    found: Generations = {}
    for agent in agents:
        auth = supervisor.snapshot(agent)
        found |= {(agent, one): auth.generation_of(ProviderId(one)) for one in auth.verdicts if one not in without}
    return found


def moved(before: Generations, after: Generations) -> list[str]:
    """Return the cells that were answered again, or came or went."""
    return [
        f"{agent}/{one}"
        for agent, one in sorted(before.keys() | after.keys())
        if before.get((agent, one)) != after.get((agent, one))
    ]


def compare_with_fresh(home: Home, supervisor: AuthSupervisor, violations: Violations) -> int:
    """Start a second supervisor on the same home and compare every answer; return how many were compared."""
    compared = 0
    with AuthSupervisor(home.path, env=home.env) as fresh:
        if not fresh.wait_warm(WARM_S):
            violations.add(f"a fresh supervisor was not warm within {WARM_S:g} s")
            return 0
        ours, theirs = supervisor.agent_ids(), fresh.agent_ids()
        if ours != theirs:
            violations.add(f"the agents are {', '.join(ours)}; a fresh supervisor has {', '.join(theirs)}")
        for agent in theirs:
            providers = {*supervisor.snapshot(agent).verdicts, *fresh.snapshot(agent).verdicts}
            for provider in sorted(providers):
                compared += 1
                one = _answer(supervisor.verdict(provider, agent_id=agent))
                other = _answer(fresh.verdict(provider, agent_id=agent))
                flags = [each.has_auth(provider, agent_id=agent) for each in (supervisor, fresh)]
                if one != other or flags[0] is not flags[1]:
                    violations.add(f"{agent}/{provider} is {one}, has_auth {flags[0]}; fresh: {other}, {flags[1]}")
        if supervisor.snapshot().agent_id != fresh.snapshot().agent_id:
            violations.add("the default agent is another one than a fresh supervisor's")
    return compared


def _answer(verdict: Verdict) -> str:
    evidence = verdict.evidence.id if verdict.evidence is not None else "nothing"
    return f"{verdict.state} through {evidence}, presence {verdict.presence}"
