"""What a supervisor tells of a home, in the shapes that commands print and the HTTP gateway answers.

One place for both, so that they can't say different things. Reads only: no I/O, any thread.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from openclaw_actors import __version__
from openclaw_actors.home.providers import auth_provider, normalise_provider
from openclaw_actors.listing.listing import ListedModel, Listing, Page, page
from openclaw_actors.prepared import AgentAuth
from openclaw_actors.shapes import (
    About,
    Cleared,
    Explanation,
    LoggedOut,
    ModelPage,
    StatusAgent,
    StoredProfile,
    explanation,
    model_page,
    status_cell,
)
from openclaw_actors.spelling import near_misses

if TYPE_CHECKING:
    from openclaw_actors.auth.verdict import Verdict
    from openclaw_actors.health import Health
    from openclaw_actors.supervisor import AuthSupervisor

_NEEDED = ("Warm", "ActorsAlive")
"""Conditions without which answers are not what they should be."""


def is_ready(health: Health) -> bool:
    """Tell whether every agent has answers and somebody keeps them."""
    found = {one.type: one.status for one in health.conditions}
    return all(found.get(kind, False) for kind in _NEEDED)


def about(supervisor: AuthSupervisor, url: str | None = None) -> About:
    """Return who answers, about which home, and how well it is."""
    health = supervisor.health()
    ready, warm = is_ready(health), health.condition("Warm")
    return About(
        pid=os.getpid(),
        version=__version__,
        instance=supervisor.instance_id,
        url=url,
        home=supervisor.home_path,
        config=supervisor.config_path,
        agents=supervisor.agent_ids(),
        default_agent=supervisor.snapshot().agent_id,
        ready=ready,
        warm_s=supervisor.warm_time_s,
        since=warm.since if ready and warm is not None else None,
        conditions=health.conditions,
    )


def status_of(supervisor: AuthSupervisor, auth: AgentAuth, providers: tuple[str, ...] = ()) -> StatusAgent:
    """Return an agent's answers: of these providers in any spelling, or of all that have one or that somebody set up.

    All are of the one snapshot.
    """
    agent, configured = auth.agent_id, supervisor.configured_providers(auth.agent_id)
    asked = dict.fromkeys(providers) or sorted({*auth.verdicts, *configured})
    cells = {}
    for spelled in asked:
        verdict = auth.verdict(spelled) if auth.revision else supervisor.verdict(spelled, agent_id=agent)
        count = supervisor.model_count(verdict.provider, agent_id=agent)
        cells[spelled] = status_cell(verdict, model_count=count, configured=verdict.provider in configured)
    return StatusAgent(auth.revision, auth.generation, cells)


def explain(supervisor: AuthSupervisor, agent: str, spelled: str, model: str | None = None) -> Explanation:
    """Return everything behind one answer: of a provider in any spelling, or of one of its models."""
    profiles = stored_profiles(supervisor.snapshot(agent), spelled)
    if model is None:
        verdict = supervisor.verdict(spelled, agent_id=agent)
        return explanation(verdict, spelled, None, suggestions=_other_providers(supervisor, verdict), profiles=profiles)
    shown = supervisor.models(agent_id=agent, provider=spelled)
    every = supervisor.models(agent_id=agent, provider=spelled, view="all")
    row = _row_of(every, model) or _row_of(shown, model)
    # the catalogue's own spelling decides: a window may rest just this model
    verdict = supervisor.verdict(spelled, agent_id=agent, model=row.model if row else model)
    suggestions = _other_providers(supervisor, verdict)
    if not suggestions and row is None:
        by_model = {one.model: one.id for one in every.rows}
        suggestions = [by_model[name] for name in near_misses(model, by_model)]
    return explanation(
        verdict,
        spelled,
        model,
        visibility=_visibility(shown, row, model),
        suggestions=suggestions,
        model_id=row.id if row else None,
        profiles=profiles,
    )


def models_of(supervisor: AuthSupervisor, listing: Listing, number: int, limit: int | None) -> ModelPage:
    """Return one page of a listing; without a limit all of it on one page."""
    if limit is None:
        total = listing.total
        chosen = Page(listing.rows, 1, 1, max(1, total), total, 1 if listing.rows else 0)
    else:
        chosen = page(listing, number, limit)
    provider = listing.provider
    known = supervisor.snapshot(listing.agent_id).verdicts
    if provider is None or provider in known:
        return model_page(listing, chosen)
    return model_page(listing, chosen, known=False, suggestions=near_misses(provider, known))


def stored_profiles(auth: AgentAuth, provider: str, profile_id: str | None = None) -> tuple[StoredProfile, ...]:
    """Return the stored profiles of a provider, in any spelling, and of those that share its credentials; or just one
    of them.
    """
    target = auth_provider(normalise_provider(provider))
    return tuple(
        StoredProfile(one.id, one.store, one.inherited)
        for one in auth.profiles
        if profile_id in (None, one.id) and auth_provider(normalise_provider(one.provider)) == target
    )


def logged_out(before: AgentAuth, after: AgentAuth, provider: str, profile_id: str | None) -> LoggedOut:
    """Return what a logout has removed, by an agent's answers from before it and after."""
    kept = {(one.id, one.store) for one in stored_profiles(after, provider)}
    known = stored_profiles(before, provider, profile_id)
    verdict = after.verdict(provider)
    removed = tuple(one for one in known if (one.id, one.store) not in kept)
    return LoggedOut(after.agent_id, verdict.provider, removed, verdict.state, verdict.reason)


def cleared(before: AgentAuth, after: AgentAuth, profile_id: str) -> Cleared | None:
    """Return what clearing a profile's windows has changed, by an agent's answers from before it and after; None when
    it sees no such profile.
    """
    profile = next((one for one in before.profiles if one.id == profile_id), None)
    if profile is None:
        return None
    old, new = before.verdict(profile.provider), after.verdict(profile.provider)
    return Cleared(after.agent_id, profile.id, profile.store, new.provider, old.state, new.state, new.reason)


def _other_providers(supervisor: AuthSupervisor, verdict: Verdict) -> list[str]:
    known = supervisor.snapshot(verdict.agent_id).verdicts
    return [] if verdict.provider in known else near_misses(verdict.provider, known)


def _row_of(listing: Listing, model: str) -> ListedModel | None:
    wanted = {model.lower(), f"{listing.provider}/{model}".lower()}
    return next((row for row in listing.rows if row.model.lower() in wanted), None)


def _visibility(shown: Listing, row: ListedModel | None, model: str) -> str:
    if row is None:
        return "no such model: neither the catalogue, models.json nor the config has it"
    if _row_of(shown, model) is not None:
        if row.has_auth:
            return "shown"
        return "shown, though it can't be used: the config names it"
    reason = next((one for one in shown.hidden if one.provider == row.provider), None)
    if reason is None:
        return "hidden"
    return f"hidden: {reason.reason}" + (f". {reason.next_step}" if reason.next_step else "")
