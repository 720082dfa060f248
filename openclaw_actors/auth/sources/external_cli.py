"""Logins of other programs, laid over the stored profiles (OpenClaw 2026.5.22, external-cli-sync.ts; formats 4.7).

As in OpenClaw's warm, all providers are in scope: Claude CLI's login counts for `anthropic` too, since `claude-cli` is
an alias of it. (OpenClaw's slow path asks for one provider and there says no until the profile is persisted.)
"""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.keys import login_step
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.sources.stored import StoreIndex
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.home.facts import CliFacts, ProfileFacts, ProfileOutline
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import EvidenceId, ProviderId

ADOPTION_MARGIN_S = 300.0
"""A login must last this much longer to be adopted; a stored one that does is kept (formats 4.7)."""

_RELOGIN = {"codex": "codex login", "claude": "claude", "minimax": "minimax", "gemini": "gemini"}
_UNPLACED = 1_000_000


class Overlay(msgspec.Struct, frozen=True):
    """What the logins make of the stored profiles of one provider."""

    store: StoreIndex
    """The profiles, adopted ones included."""
    adopted: tuple[CliFacts, ...] = ()
    refused: tuple[Candidate, ...] = ()
    """Logins that are there but aren't adopted, with why."""


def overlay(auth_id: ProviderId, index: SharedIndex, store: StoreIndex, now: float) -> Overlay | None:
    """Lay the logins for an alias-resolved provider over its profiles; None when there is no login at all."""
    adopted: list[CliFacts] = []
    refused: list[Candidate] = []
    for cli in index.clis_of(auth_id):
        if not cli.found and not cli.problem:
            continue
        found = store.profiles.get(cli.profile_id)
        refusal = _refusal(cli, found.profile if found is not None else None, now)
        if refusal is None:
            adopted.append(cli)
            store = store.with_profile(_as_profile(cli))
        else:
            refused.append(_refused(cli, *refusal))
    return Overlay(store, tuple(adopted), tuple(refused)) if adopted or refused else None


def adopted_candidate(cli: CliFacts, order: tuple[int, ...], excluded: str, store: StoreIndex) -> Candidate:
    """Return an adopted login as a candidate; `excluded` says which order leaves its profile out, if one does."""
    ends_at = cli.expires_at - ADOPTION_MARGIN_S if cli.expires_at is not None else None
    if excluded:
        state, reason = (
            State.MISSING,
            f"{excluded} leaves out profile {cli.profile_id}, which {_title(cli)} login becomes",
        )
    else:
        state, reason = State.USABLE, f"{_title(cli)} login as profile {cli.profile_id}"
    return Candidate(
        evidence=_evidence(cli),
        state=state,
        reason=reason,
        next_step=f"list {cli.profile_id} in {excluded}" if excluded else "",
        order=order,
        digest=cli.digest,
        changes_at=ends_at,
        windows=store.usage.get(cli.profile_id),
    )


def _refusal(cli: CliFacts, stored: ProfileFacts | None, now: float) -> tuple[State, str, str] | None:
    """Return why a login is not adopted (state, reason, next step), or None when it is."""
    title, again = _title(cli), f"log in again with {_RELOGIN.get(cli.name, cli.name)}"
    if not cli.found:
        return State.MALFORMED, f"{title} login in {cli.path} can't be used: {cli.problem}", again
    if cli.expires_at is None or cli.expires_at - ADOPTION_MARGIN_S <= now:
        ended = cli.expires_at is None or cli.expires_at <= now
        when = "has expired" if ended else "expires within five minutes"
        return State.EXPIRED, f"{title} login {when}, so OpenClaw doesn't take it over", again
    if not cli.profile_id:
        step = login_step(cli.provider)
        return State.MISSING, f"{title} login is there, but OpenClaw takes it over only through its own login", step
    if cli.kind != "oauth" or not cli.has_refresh:
        step = login_step(auth_provider(cli.provider))
        return State.MISSING, f"{title} login has no refresh token, so OpenClaw makes no profile of it", step
    if stored is None:
        return None
    kept = f"{title} login is not used: stored profile {stored.id} is kept"
    if stored.kind != "oauth" or stored.provider != cli.provider:
        return (
            State.MISSING,
            f"{kept}, it is of another kind or provider",
            f"remove profile {stored.id} to use the login",
        )
    if cli.name == "codex":
        if stored.has_access or stored.has_refresh:
            return State.MISSING, f"{kept}, it has tokens of its own", f"remove profile {stored.id} to use the login"
    elif stored.has_access and (stored.expires_ms or 0) / 1000 - ADOPTION_MARGIN_S > now:
        return State.MISSING, f"{kept}, it is still good", ""
    if not _same_person(cli, stored):
        step = f"log in to the same account, or remove profile {stored.id}"
        return (
            State.MISSING,
            f"{title} login is refused: it is of another account than stored profile {stored.id}",
            step,
        )
    return None


def _same_person(cli: CliFacts, stored: ProfileFacts) -> bool:
    """Compare accounts, else e-mails; a stored identity that can't be compared refuses, none at all accepts."""
    if cli.account is not None and stored.account is not None:
        return cli.account == stored.account
    if cli.email is not None and stored.email_digest is not None:
        return cli.email == stored.email_digest
    return stored.account is None and stored.email_digest is None


def _as_profile(cli: CliFacts) -> ProfileFacts:
    outline = ProfileOutline(
        id=cli.profile_id,
        provider=cli.provider,
        kind="oauth",
        expires_ms=cli.expires_at * 1000 if cli.expires_at is not None else None,
        has_access=True,
        has_refresh=cli.has_refresh,
    )
    return ProfileFacts(outline, cli.digest)


def _refused(cli: CliFacts, state: State, reason: str, step: str) -> Candidate:
    return Candidate(
        evidence=_evidence(cli),
        state=state,
        reason=reason,
        next_step=step,
        present=False,
        order=(Rank.PROFILE, _UNPLACED),
        digest=cli.digest,
    )


def _title(cli: CliFacts) -> str:
    return f"{cli.name.capitalize()} CLI's"


def _evidence(cli: CliFacts) -> Evidence:
    return Evidence(
        id=EvidenceId(f"cli:{cli.name}"),
        source="external-cli",
        kind=cli.kind,
        detail=f"login of {cli.name.capitalize()} CLI in {cli.path}",
        expires_at=cli.expires_at,
        refreshable=cli.has_refresh,
    )
