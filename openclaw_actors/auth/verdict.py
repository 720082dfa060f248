"""Verdicts: the answer for one (agent, provider), and what it is made of."""

from __future__ import annotations

import enum

import msgspec

from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId, StoreId

OWN_STORE = StoreId("<own store>")
"""Stands for the agent's own store in the evidence of cells, which agents with different ones share; readers are given
its name."""


class State(enum.StrEnum):
    """What a verdict says, best first (DESIGN.md section 2). A `str`: compares equal to its value."""

    USABLE = "usable"
    """A credential that nothing speaks against."""
    REFRESHABLE = "refreshable"
    """The access token is expired, a refresh token is there."""
    COOLDOWN = "cooldown"
    """Resting after a passing failure."""
    UNVERIFIED = "unverified"
    """Only a network look could tell."""
    UNKNOWN = "unknown"
    """A reader failed or overran and there is no last good answer."""
    UNRESOLVED = "unresolved"
    """A secret reference that can't be read."""
    REJECTED = "rejected"
    """The provider refused this very secret."""
    DISABLED = "disabled"
    """The account's billing refused it."""
    EXPIRED = "expired"
    """Past its expiry with nothing to refresh it."""
    MALFORMED = "malformed"
    """A profile that can't be used."""
    MISSING = "missing"
    """No source has anything."""

    @property
    def has_auth(self) -> bool:
        """Tell whether a run could use the credential."""
        return self in HAS_AUTH

    @property
    def rank(self) -> int:
        """Position in the order "best first"."""
        return _RANKS[self]


HAS_AUTH = frozenset({State.USABLE, State.REFRESHABLE, State.COOLDOWN})
"""The states that count as "has auth"."""

_RANKS = {state: index for index, state in enumerate(State)}


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What one source says about one provider."""

    id: EvidenceId
    """A profile id, `env:NAME`, `config:PROVIDER`, `cli:NAME`…"""
    source: str
    """Who judged it: `profile`, `environment`, `config`, `evidence-file`, `local`, `synthetic`, `external-cli`,
    `cloud`."""
    kind: str
    """`api_key`, `token`, `oauth`, `aws-sdk`, `file`, `none`…"""
    detail: str = ""
    """Where it is and what it says, for people; never a secret."""
    expires_at: float | None = None
    """When the credential expires, in epoch seconds."""
    refreshable: bool = False
    """Whether something is there to refresh it with."""

    def of(self, own: StoreId) -> Evidence:
        """Return the same with an agent's own store where it stands for any."""
        if self.source != "profile" or OWN_STORE not in self.detail:
            return self
        return msgspec.structs.replace(self, detail=self.detail.replace(OWN_STORE, own))


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A piece of evidence, judged by itself: what `decide` in `auth/check.py` folds into a cell."""

    evidence: Evidence
    state: State
    """Its state when no failure window is looked at."""
    reason: str
    next_step: str = ""
    present: bool = True
    """Whether OpenClaw 2026.5.22 would count it (formats 5.1)."""
    order: tuple[int, ...] = ()
    """Where a run would try it, smaller first (formats 7.6)."""
    store: StoreId | None = None
    """The store that owns it; None for what isn't stored in a profile."""
    digest: bytes | None = None
    """Keyed digest of its secret: a failure holds for this very secret."""
    windows: Windows | None = None
    """What the disk says of its use; a newer report in the ledger wins (`auth/ledger.py`)."""
    changes_at: float | None = None
    """When time alone changes `state`, in epoch seconds."""
    exempt: bool = False
    """Whether its provider takes no cooldowns (formats 7.4)."""


class Cell(msgspec.Struct, frozen=True, gc=False):
    """The answer for one provider, without the agent: agents that see the same sources share it."""

    provider: ProviderId
    state: State
    presence: bool
    evidence: Evidence | None = None
    shadowed: tuple[Evidence, ...] = ()
    reason: str = ""
    next_step: str = ""
    valid_until: float | None = None
    """The next moment at which time alone changes this answer, in epoch seconds."""
    candidates: tuple[Candidate, ...] = ()
    """What it was folded from, so that a reported failure can be applied without a new check."""
    models: tuple[tuple[str, Cell], ...] = ()
    """Models whose answer differs, because a window rests just them."""
    is_common: bool = False
    """Whether agents with other secrets in other stores share it: its candidates name neither (`auth/binding.py`)."""

    @property
    def has_auth(self) -> bool:
        """Tell whether a run could use the provider."""
        return self.state in HAS_AUTH

    def for_model(self, model: str | None) -> Cell:
        """Return the cell of one model of this provider."""
        if model is not None:
            for name, cell in self.models:
                if name == model:
                    return cell
        return self


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The answer for one (agent, provider), as it was when it was handed out. Immutable; safe on any thread."""

    agent_id: AgentId
    provider: ProviderId
    state: State
    has_auth: bool
    presence: bool
    """What OpenClaw 2026.5.22 would answer to "has it auth?"."""
    evidence: Evidence | None
    """The credential that a run would use, or the best of those that speak against."""
    shadowed: tuple[Evidence, ...]
    """The other evidence, in the order in which a run would try it."""
    reason: str
    next_step: str
    """What a person can do about it; empty when nothing needs doing."""
    valid_until: float | None
    """When time alone changes the answer, in epoch seconds."""
    generation: Generation
    """The attempt that this answer belongs to."""
    fresh: bool
    """Whether nothing newer was wanted for this cell when the verdict was handed out."""
