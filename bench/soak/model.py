"""The writer's model of the home: what is on disk, and what each agent's answer has to be.

It knows the little of the rules that the soak's edits need (a profile of the own store wins over main's of the same id;
what each form of a credential is), independently of the package.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from bench import homes
from bench.homes import Agent, AgentKind, Home, Profile
from bench.soak.journal import Expected

EDITED = homes.KEY_PROVIDERS[:14]
"""Providers whose credentials are edited."""

RESTING = homes.KEY_PROVIDERS[14:18]
"""Providers whose profiles are put to rest for a moment; their keys stay."""

CUSTOM = tuple(f"soak-gateway-{number}" for number in range(1, 5))
"""Providers that come and go in the config."""

TOUCHED = frozenset({*EDITED, *RESTING, *CUSTOM})
"""All providers about which anything but usage is ever written."""


def usage_only_stores(home: Home) -> frozenset[str]:
    """Return the stores that get nothing but usage: every second one of agents with a store of their own."""
    return frozenset([agent.store for agent in home.agents if agent.kind is AgentKind.OWN][1::2])


_LONG_AGO_MS = 1_600_000_000_000
_UNSET = "SOAK_VARIABLE_THAT_NOBODY_SET"


class Form(enum.StrEnum):
    """The forms that a profile takes, each with an answer of its own."""

    KEY = "key"
    ABSENT = "absent"
    EMPTY = "empty"
    """A key profile without its key."""
    REFERENCE = "reference"
    """To a variable that isn't set."""
    SPENT = "spent"
    """A token that has expired."""
    LOGIN = "login"
    """An expired access token, with a refresh token."""
    EXPIRING = "expiring"
    """A token that expires in a moment."""


_STATES = {
    Form.KEY: "usable",
    Form.ABSENT: "missing",
    Form.EMPTY: "malformed",
    Form.REFERENCE: "unresolved",
    Form.SPENT: "expired",
    Form.LOGIN: "refreshable",
    Form.EXPIRING: "usable",
}


class Rest(enum.StrEnum):
    """Whether a profile rests."""

    NONE = ""
    ACTIVE = "active"
    OVER = "over"
    """Its window is over but still written down: the answer says half-open."""


class Held(NamedTuple):
    """What a store holds of one edited provider."""

    form: Form
    expires_ms: int = 0
    is_over: bool = False
    """Whether its time has come."""


class Answer(NamedTuple):
    """What tells two answers apart; the key itself doesn't."""

    state: str
    owner: str
    form: Form | None
    expires_ms: int
    rest: Rest


Answers = dict[tuple[str, str], Answer]
"""Answers by agent and provider."""

_MISSING = Answer("missing", "", None, 0, Rest.NONE)


class Model:
    """A home as it is on disk now. Changes are made here first; the texts to write are taken from here."""

    def __init__(self, home: Home, chance: random.Random) -> None:
        self.home = home
        self._chance = chance
        self.held = {store: dict.fromkeys(EDITED, Held(Form.KEY)) for store in home.stores}
        """What each store holds of the edited providers."""
        self.resting: dict[str, dict[str, Rest]] = {store: {} for store in home.stores}
        self.usage: dict[str, dict[str, dict[str, Any]]] = {store: {} for store in home.stores}
        """Usage stats by store and profile."""
        self.agents: list[Agent] = list(home.agents)
        """The agents that the config names."""
        self.default = home.agents[0].id
        self.custom: dict[str, str] = {}
        """Custom providers in the config, with the state of their key."""
        untouched = usage_only_stores(home)
        self.edited_stores = tuple(store for store in home.stores if store not in untouched)
        """Stores that get more than usage."""

    # ----------------------------------------------------------------------------------------------------- answers

    def answers(self, providers: Iterable[str]) -> Answers:
        """Return what every agent's answers have to be for some providers."""
        return {(agent.id, one): self._answer(agent, one) for one in providers for agent in self.agents}

    def changed_since(self, before: Answers) -> tuple[Expected, ...]:
        """Return the answers that have to change, given what they were; agents that came or went have no changes."""
        after = self.answers(dict.fromkeys(provider for _, provider in before))
        return tuple(
            Expected(agent, provider, after[agent, provider].state)
            for (agent, provider), answer in before.items()
            if (agent, provider) in after and after[agent, provider] != answer
        )

    def _answer(self, agent: Agent, provider: str) -> Answer:
        if provider in CUSTOM:
            state = self.custom.get(provider)
            return _MISSING if state is None else Answer(state, "config", None, 0, Rest.NONE)
        for store in (agent.store, AgentKind.MAIN):
            if store not in self.held:
                continue
            if provider in RESTING:
                rest = self.resting[store].get(provider, Rest.NONE)
                return Answer("cooldown" if rest is Rest.ACTIVE else "usable", store, Form.KEY, 0, rest)
            held = self.held[store][provider]
            if held.form is not Form.ABSENT:
                state = "expired" if held.is_over else _STATES[held.form]
                return Answer(state, store, held.form, held.expires_ms, Rest.NONE)
        return _MISSING

    # ----------------------------------------------------------------------------------------------------- changing

    def put(self, store: str, provider: str, form: Form, expires_ms: int = 0) -> None:
        """Have a store hold another form of a provider's credential, with a new secret."""
        self.held[store][provider] = Held(form, expires_ms)
        name, profiles = f"{provider}:default", self.home.stores[store]
        profile = _profile(form, provider, self._chance, expires_ms)
        if profile is None:
            profiles.pop(name, None)
        else:
            profiles[name] = profile

    def let_expire(self, store: str, provider: str) -> None:
        """Note that an expiring token's time has come."""
        self.held[store][provider] = self.held[store][provider]._replace(is_over=True)

    def stores_in_use(self) -> tuple[str, ...]:
        """Return the stores of the agents that the config names."""
        return tuple(dict.fromkeys(agent.store for agent in self.agents if agent.store in self.held))

    def use(self, store: str, now_ms: int) -> None:
        """Note that some of a store's profiles were used."""
        for name in self._chance.sample(sorted(self.home.stores[store]), 2):
            self.usage[store].setdefault(name, {}).update(lastUsed=now_ms, errorCount=0)

    def rest(self, store: str, provider: str, until_ms: int) -> None:
        """Put a profile to rest, as another process does after a rate limit."""
        self.resting[store][provider] = Rest.ACTIVE
        self.usage[store].setdefault(f"{provider}:default", {}).update(
            cooldownUntil=until_ms, cooldownReason="rate_limit", failureCounts={"rate_limit": 1}
        )

    def end_rest(self, store: str, provider: str) -> None:
        """Note that a rest is over; it stays written down."""
        self.resting[store][provider] = Rest.OVER

    def clear_rest(self, store: str, provider: str) -> None:
        """Remove a rest, as OpenClaw does after a success."""
        self.resting[store].pop(provider, None)
        stats = self.usage[store][f"{provider}:default"]
        for name in ("cooldownUntil", "cooldownReason", "failureCounts"):
            stats.pop(name, None)

    def set_custom(self, provider: str, state: str | None) -> None:
        """Have the config hold a custom provider with a key (`usable`), with a reference to nothing (`unresolved`), or
        not at all; a `usable` one that is there gets another key.
        """
        providers = self.home.config["models"]["providers"]
        if state is None:
            self.custom.pop(provider, None)
            providers.pop(provider, None)
            return
        self.custom[provider] = state
        providers[provider] = homes.custom_provider(provider, self._chance)
        if state != "usable":
            providers[provider]["apiKey"] = f"${{{_UNSET}}}"

    def set_agents(self, agents: list[Agent], default: str) -> None:
        """Have the config name these agents."""
        self.agents, self.default = agents, default
        entries = [self.home.agent_entry(agent) for agent in agents]
        for entry in entries:
            if entry["id"] == default:
                entry["default"] = True
        self.home.config["agents"]["list"] = entries

    # -------------------------------------------------------------------------------------------------------- texts

    def profiles_text(self, store: str) -> str:
        """Return the text of a store's credentials."""
        return homes.json_text({"version": 1, "profiles": self.home.stores[store]})

    def state_text(self, store: str) -> str:
        """Return the text of a store's usage stats."""
        good = {one: f"{one}:work" for one in homes.PAIRED_PROVIDERS}
        return homes.json_text({"version": 1, "lastGood": good, "usageStats": self.usage[store]})

    def config_text(self) -> str:
        """Return the text of the config."""
        return homes.json_text(self.home.config)


def _profile(form: Form, provider: str, chance: random.Random, expires_ms: int) -> Profile | None:
    if form is Form.ABSENT:
        return None
    if form in {Form.SPENT, Form.EXPIRING}:
        return homes.token(provider, chance, expires_ms or _LONG_AGO_MS)
    if form is Form.LOGIN:
        return homes.oauth(provider, chance, _LONG_AGO_MS)
    profile = homes.api_key(provider, chance)
    if form is not Form.KEY:
        del profile["key"]
    if form is Form.REFERENCE:
        profile["keyRef"] = {"source": "env", "provider": "default", "id": _UNSET}
    return profile
