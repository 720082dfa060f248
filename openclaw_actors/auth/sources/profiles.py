"""Stored profiles (OpenClaw 2026.5.22, credential-state.ts, order.ts; formats 3.3, 5.1 step 7).

All profiles of the provider are present, whatever their state: OpenClaw doesn't ask for eligibility there.
"""

from __future__ import annotations

from openclaw_actors.auth.failures import COOLDOWN_EXEMPT
from openclaw_actors.auth.order import OK, ProfileOrder, resolve_order
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.cloud import chain_candidate
from openclaw_actors.auth.sources.external_cli import adopted_candidate, overlay
from openclaw_actors.auth.sources.keys import judge_key, login_step
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.sources.stored import Stored, StoreIndex
from openclaw_actors.auth.verdict import OWN_STORE, Candidate, Evidence, State
from openclaw_actors.home.facts import CliFacts, KeyForm, ProfileFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import EvidenceId, ProviderId, StoreId

REFRESH_MARGIN_S = 300.0
"""An access token is used without refreshing only when it lasts this much longer (formats 3.3)."""

_UNPLACED = 1_000_000
_NO_CREDENTIAL = frozenset({KeyForm.ABSENT, KeyForm.BLANK})


def candidates(provider: ProviderId, index: SharedIndex, store: StoreIndex, now: float) -> tuple[Candidate, ...]:
    """Return the profiles that one agent sees for a provider, and the logins of other programs, in run order."""
    auth_id = auth_provider(provider)
    clis = overlay(auth_id, index, store, now) if index.clis_of(auth_id) else None
    if clis is not None:
        store = clis.store
    serving = store.serving(auth_id)
    if not serving and not index.configured_profiles(auth_id):
        return clis.refused if clis is not None else ()
    order = resolve_order(provider, index, store, now)
    excluded = dict(order.excluded)
    adopted = {cli.profile_id: cli for cli in clis.adopted} if clis is not None else {}
    found: list[Candidate] = []
    for place, name in enumerate(order.ids):
        stored = store.profiles.get(name)
        if stored is None:
            rank = (Rank.AWS_PROFILE, place)
            found.append(chain_candidate(EvidenceId(name), "profile", index, order=rank, present=False))
        else:
            found.append(_candidate(stored, auth_id, OK, place, order, index, store, adopted, now))
    for stored in serving:
        code = excluded.get(stored.profile.id)
        if code is not None and auth_provider(stored.profile.provider) == auth_id:
            found.append(_candidate(stored, auth_id, code, _UNPLACED + len(found), order, index, store, adopted, now))
    if clis is not None:
        found.extend(clis.refused)
    return tuple(found)


def _candidate(
    stored: Stored,
    auth_id: ProviderId,
    code: str,
    place: int,
    order: ProfileOrder,
    index: SharedIndex,
    store: StoreIndex,
    adopted: dict[str, CliFacts],
    now: float,
) -> Candidate:
    profile, owner = stored.profile, stored.owner
    rank = (Rank.PROFILE, place)
    cli = adopted.get(profile.id)
    if cli is not None:
        return adopted_candidate(cli, rank, order.source if code != OK else "", store)
    state, reason, step, changes_at = _state(profile, now)
    if code == "unlisted":
        state, changes_at = State.MISSING, None
        reason = f"profile {profile.id} is not used: {order.source} doesn't list it"
        step = f"list {profile.id} in {order.source}"
    elif code in {"mode_mismatch", "provider_mismatch"}:
        described = index.profile_configs.get(profile.id)
        aspect = "mode" if code == "mode_mismatch" else "provider"
        says = (
            (described.mode if code == "mode_mismatch" else described.provider) if described is not None else "another"
        )
        state, changes_at = State.MALFORMED, None
        reason = f"profile {profile.id} is not used: auth.profiles of the config gives it the {aspect} {says}"
        step = f"mend auth.profiles.{profile.id}.{aspect} in the config"
    own_provider = auth_provider(profile.provider)
    return Candidate(
        evidence=Evidence(
            id=EvidenceId(profile.id),
            source="profile",
            kind=profile.kind,
            detail=_detail(profile, owner, index, store),
            expires_at=profile.expires_ms / 1000 if profile.expires_ms else None,
            refreshable=profile.has_refresh,
        ),
        state=state,
        reason=reason,
        next_step=step,
        present=own_provider == auth_id,
        order=rank,
        store=owner,
        digest=profile.digest,
        changes_at=changes_at,
        exempt=own_provider in COOLDOWN_EXEMPT,
        windows=store.usage.get(profile.id),
    )


def _detail(profile: ProfileFacts, owner: StoreId | None, index: SharedIndex, store: StoreIndex) -> str:
    if owner == index.config.main_store:
        return f"profile {profile.id} in {owner}, the store that all agents inherit from"
    return f"profile {profile.id} in {OWN_STORE if owner == store.view.own else owner}"


def _state(profile: ProfileFacts, now: float) -> tuple[State, str, str, float | None]:
    """Return state, reason, next step and the moment when time alone changes them."""
    if profile.kind == "oauth":
        return _oauth(profile, now)
    where = f"profile {profile.id}"
    word = "token" if profile.kind == "token" else "API key"
    if profile.key.form in _NO_CREDENTIAL:
        return State.MALFORMED, f"{where} holds no {word}", f"log in again: {login_step(profile.provider)}", None
    expires = profile.expires_ms
    if profile.kind == "token" and expires is not None:
        if expires <= 0:
            step = (
                f"mend `expires` of {where} (a date in milliseconds), or log in again: {login_step(profile.provider)}"
            )
            return State.MALFORMED, f"{where} has an expiry that is no date", step, None
        if expires / 1000 <= now:
            return State.EXPIRED, f"token in {where} has expired", f"log in again: {login_step(profile.provider)}", None
    state, reason, step = judge_key(profile.key, where)
    if profile.key.form is KeyForm.MARKER and profile.key.name != "secretref-managed":
        # stores know no markers: whatever text stands there is the key
        state, reason, step = State.USABLE, f"API key in {where}", ""
    if word == "token":
        reason = reason.replace("API key", word, 1)
    return state, reason, step, expires / 1000 if profile.kind == "token" and expires is not None else None


def _oauth(profile: ProfileFacts, now: float) -> tuple[State, str, str, float | None]:
    where = f"profile {profile.id}"
    again = f"log in again: {login_step(profile.provider)}"
    expires_at = profile.expires_ms / 1000 if profile.expires_ms else None
    if profile.has_access and expires_at is not None and expires_at - REFRESH_MARGIN_S > now:
        return State.USABLE, f"OAuth login in {where}", "", expires_at - REFRESH_MARGIN_S
    if profile.has_refresh:
        why = "has expired or is about to" if profile.has_access and expires_at is not None else "is not there"
        return State.REFRESHABLE, f"OAuth login in {where}: the access token {why}, a refresh token is there", "", None
    if profile.has_access:
        if expires_at is None:
            return State.MALFORMED, f"OAuth login in {where} has no valid expiry and no refresh token", again, None
        ended = "has expired" if expires_at <= now else "expires within five minutes"
        return State.EXPIRED, f"OAuth login in {where} {ended} and has no refresh token", again, None
    if profile.has_sidecar:
        reason = f"OAuth login of {where} is in an encrypted file that only OpenClaw reads"
        return State.UNRESOLVED, reason, f"let OpenClaw import it (openclaw doctor --fix), or {again}", None
    return State.MALFORMED, f"OAuth login in {where} holds neither access nor refresh token", again, None
