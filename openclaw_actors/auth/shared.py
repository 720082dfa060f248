"""What all agents see alike: config, environment and other programs' logins, with the look-ups that a check needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import msgspec

from openclaw_actors.auth.verdict import Candidate
from openclaw_actors.home.facts import AuthProfileConfig, CliFacts, HomeFacts, ProviderConfig
from openclaw_actors.home.providers import auth_provider, known_providers, normalise_provider, tables
from openclaw_actors.ids import ProviderId

CLI_PROVIDERS = {
    "codex": ProviderId("openai-codex"),
    "claude": ProviderId("claude-cli"),
    "minimax": ProviderId("minimax-portal"),
    "gemini": ProviderId("google-gemini-cli"),
}
"""Other programs' logins and the providers that they are for (OpenClaw 2026.5.22, external-cli-sync.ts)."""

_BEDROCK = ProviderId("amazon-bedrock")
"""Known to OpenClaw's core by itself: no bundled manifest, and so no fact table, names it (formats 5.1 step 2)."""

_PROVIDERLESS_SOURCES = frozenset({"catalog"})
"""Sources that hold no credentials: that they can't be read hides no answer."""


class SharedFacts(msgspec.Struct, frozen=True):
    """One reading of everything that is the same for all agents. Secret-free."""

    home: HomeFacts
    clis: tuple[CliFacts, ...] = ()
    unread_sources: tuple[tuple[str, str], ...] = ()
    """Sources (`cli:codex`, `config`…) that could not be read and have no last good reading, each with why."""


class Memo(msgspec.Struct, frozen=True, gc=False):
    """Shared candidates of one provider, and from when to when (epoch seconds) they are the same."""

    computed_at: float
    until: float
    candidates: tuple[Candidate, ...]


@final
class SharedIndex:
    """Look-ups over one `SharedFacts`, built once; a check is a few of them.

    Safe on any thread: its tables never change, and `memo` only gains entries that any thread would compute alike.
    """

    __slots__ = (
        "_by_id",
        "_by_spelling",
        "_clis",
        "_config_order",
        "_profiles_of",
        "_unread",
        "_unread_of",
        "answered",
        "config",
        "disabled_providers",
        "environment",
        "facts",
        "known",
        "memo",
        "profile_configs",
        "unasked_providers",
        "variables",
    )

    def __init__(self, facts: SharedFacts, catalog_providers: Iterable[ProviderId] = ()) -> None:
        self.facts = facts
        self.config = facts.home.config
        self.environment = facts.home.environment
        self.variables = self.environment.by_name()
        """Non-empty variables by name."""
        self._by_spelling: dict[str, ProviderConfig] = {}
        self._by_id: dict[str, ProviderConfig] = {}
        for entry in self.config.providers:
            self._by_spelling.setdefault(entry.spelled, entry)
            self._by_id.setdefault(entry.id, entry)
        self.profile_configs: dict[str, AuthProfileConfig] = {item.id: item for item in self.config.auth_profiles}
        """`auth.profiles` of the config, by profile id."""
        profiles_of: dict[ProviderId, list[str]] = {}
        for item in self.config.auth_profiles:
            profiles_of.setdefault(auth_provider(item.provider), []).append(item.id)
        self._profiles_of = {provider: tuple(ids) for provider, ids in profiles_of.items()}
        self._config_order: dict[ProviderId, tuple[str, ...]] = {}
        for provider, ids in self.config.auth_order:
            self._config_order.setdefault(provider, ids)
        clis: dict[ProviderId, list[CliFacts]] = {}
        for cli in facts.clis:
            clis.setdefault(auth_provider(cli.provider), []).append(cli)
        self._clis = {provider: tuple(found) for provider, found in clis.items()}
        self._unread = ""
        self._unread_of: dict[ProviderId, str] = {}
        for source, why in facts.unread_sources:
            name = source.removeprefix("cli:")
            if name != source and name in CLI_PROVIDERS:
                self._unread_of.setdefault(auth_provider(CLI_PROVIDERS[name]), why)
            elif source not in _PROVIDERLESS_SOURCES:
                self._unread = self._unread or why
        self.disabled_providers = _providers_of_disabled_plugins(self.config.disabled_plugins)
        """Providers whose plugin the config switches off: its evidence files don't count."""
        self.unasked_providers = self.disabled_providers - _providers_of_disabled_plugins(self.config.reached_plugins)
        """Those of them whose plugin isn't even asked about its own provider."""
        self.known = known_providers() | {_BEDROCK} | frozenset(catalog_providers) | self._configured_providers()
        """Every id that catalogue, config, fact tables or other programs' logins name."""
        self.answered = tuple(sorted(self.known))
        """The same, sorted: what an agent without profiles of its own has answers for."""
        self.memo: dict[ProviderId, Memo] = {}
        """Shared candidates computed so far."""

    def entry(self, provider: ProviderId) -> ProviderConfig | None:
        """Return the `models.providers` entry: the exact key first, then any spelling of the id."""
        return self._by_spelling.get(provider) or self._by_id.get(provider)

    def configured_profiles(self, auth_id: ProviderId) -> tuple[str, ...]:
        """Return the ids of `auth.profiles` for an alias-resolved provider, in config order."""
        return self._profiles_of.get(auth_id, ())

    def configured_order(self, provider: ProviderId) -> tuple[str, ...] | None:
        """Return `auth.order` of exactly this id; None when there is none, an empty tuple when it says "none"."""
        return self._config_order.get(provider)

    def clis_of(self, auth_id: ProviderId) -> tuple[CliFacts, ...]:
        """Return the other programs' logins for an alias-resolved provider."""
        return self._clis.get(auth_id, ())

    def unread_for(self, provider: ProviderId) -> str:
        """Return why a source that could hold a credential of this provider is unread; empty when all are read."""
        if self._unread:
            return self._unread
        return self._unread_of.get(auth_provider(provider), "") if self._unread_of else ""

    def _configured_providers(self) -> frozenset[ProviderId]:
        found: set[ProviderId] = {entry.id for entry in self.config.providers}
        found.update(item.provider for item in self.config.auth_profiles)
        found.update(self._config_order)
        found.update(cli.provider for cli in self.facts.clis)
        return frozenset(found)


def _providers_of_disabled_plugins(disabled: Iterable[str]) -> frozenset[ProviderId]:
    provided = tables().plugin_providers
    found = {normalise_provider(text) for plugin in disabled for text in provided.get(plugin, ())}
    if "xai" in disabled:
        # the plugin's other name, listed in code and not in its manifest
        found.add(ProviderId("x-ai"))
    if "anthropic" in disabled:
        # claude-cli is served by the anthropic plugin without being listed as one of its providers
        found.add(CLI_PROVIDERS["claude"])
    return frozenset(found)
