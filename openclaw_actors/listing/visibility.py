"""The rules of visibility (OpenClaw 2026.5.22, model-selection-shared.ts, model-catalog-visibility.ts).

Whether a provider has auth is our own answer here, not OpenClaw's presence. Pure functions and frozen structs.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from openclaw_actors.catalog.load import Catalog
from openclaw_actors.catalog.rows import ModelRow, dedupe_key, model_key
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import ProviderId

View = Literal["default", "configured", "all"]
"""`default`: what a user can pick; `configured`: the same (as in 2026.5.22); `all`: the whole catalogue."""

VIEWS: tuple[str, ...] = get_args(View)

DEFAULT_MODEL = "openai/gpt-5.5"
"""The model that is used when the config selects none (OpenClaw 2026.5.22)."""

DEFAULT_PROVIDER = "openai"
"""The provider of a model that is named without one (OpenClaw 2026.5.22)."""

CLI_RUNTIME_PROVIDERS = frozenset({ProviderId("claude-cli"), ProviderId("google-gemini-cli")})
"""Providers that are other programs: with auth, the allowlist doesn't hide them (commands-models.ts @ 2026.5.22)."""

LEGACY_RUNTIME_PROVIDERS = frozenset({ProviderId("codex"), ProviderId("codex-cli")})
"""Old runtime ids that are never listed (commands-models.ts @ 2026.5.22)."""


class Policy(msgspec.Struct, frozen=True):
    """What the config says about visibility, for one agent."""

    allow_any: bool
    """No allowlist."""
    exact: frozenset[str]
    """Dedupe keys of the allowlist's exact refs."""
    wildcards: frozenset[ProviderId]
    """Providers that the allowlist names as `provider/*`."""
    configured: frozenset[str]
    """Dedupe keys of the rows in `models.providers.*.models[]`."""
    selected: frozenset[str]
    """Dedupe keys of the models that the config selects: default model, fallbacks, image and other models."""
    named: tuple[tuple[ProviderId, ModelRow], ...]
    """A row for each ref that may be shown though no catalogue row has it."""

    def admits(self, provider: ProviderId, key: str) -> bool:
        """Tell whether the allowlist lets a model through."""
        return self.allow_any or provider in self.wildcards or key in self.exact

    def shows(self, provider: ProviderId, key: str, *, has_auth: bool) -> bool:
        """Tell whether a model is in the default view, given whether its provider has auth."""
        if provider in LEGACY_RUNTIME_PROVIDERS:
            return False
        if provider in CLI_RUNTIME_PROVIDERS and has_auth:
            return True
        if self.allow_any or provider in self.wildcards:
            return has_auth or key in self.configured or key in self.exact or key in self.selected
        if self.wildcards:
            return key in self.exact
        return key in self.exact or key in self.selected

    def shows_all_of(self, provider: ProviderId, *, has_auth: bool) -> bool:
        """Tell whether every row of a provider is in the default view, so that rows needn't be asked one by one."""
        if not has_auth or provider in LEGACY_RUNTIME_PROVIDERS:
            return False
        return self.allow_any or provider in self.wildcards or provider in CLI_RUNTIME_PROVIDERS


def policy_of(
    config: ConfigFacts, catalog: Catalog, model_refs: tuple[str, ...], agent_dir: str | None = None
) -> Policy:
    """Return the policy of the agents whose own config selects these models."""
    refs = tuple(dict.fromkeys((*model_refs, *config.default_model_refs))) or (DEFAULT_MODEL,)
    selected = [row for ref in refs if (row := _row_of(ref, catalog, agent_dir)) is not None]
    wildcards = {normalise_provider(key.strip()[:-2]) for key in config.allowlist if key.strip().endswith("/*")}
    exact = [
        row
        for key in config.allowlist
        if not key.strip().endswith("/*") and (row := _row_of(key, catalog, agent_dir)) is not None
    ]
    return Policy(
        allow_any=not config.allowlist,
        exact=frozenset(dedupe_key(row.provider, row.id) for row in exact),
        wildcards=frozenset(wildcards),
        configured=frozenset(
            dedupe_key(provider.id, model.id) for provider in config.providers for model in provider.models
        ),
        selected=frozenset(dedupe_key(row.provider, row.id) for row in selected),
        named=tuple((row.provider, row) for row in (*exact, *selected)),
    )


def _row_of(ref: str, catalog: Catalog, agent_dir: str | None) -> ModelRow | None:
    """Return the row that a ref names; a row made up from the ref when the catalogue has none.

    A name without a provider is a model of the default provider when that has it; else it is taken for an alias and
    nothing is made of it.
    """
    text = ref.strip()
    if "/" not in text:
        return catalog.find(f"{DEFAULT_PROVIDER}/{text}", agent_dir)
    row = catalog.find(text, agent_dir)
    if row is not None:
        return row
    spelled, _, model = text.partition("/")
    provider = normalise_provider(spelled)
    if not provider or not model:
        return None
    return ModelRow(provider, spelled, model, model, None, None, (), "config", model_key(provider, model))
