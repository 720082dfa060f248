"""Provider ids and the fact tables of OpenClaw 2026.5.22: spelling, aliases, variables, evidence files, markers.

The tables ship as `provider-facts.json`, extracted from the plugin manifests and core overrides of the published npm
package; rules follow `provider-id.ts`, `provider-auth-aliases.ts`, `provider-env-vars.ts` and `model-auth-markers.ts`
of that version.
"""

from __future__ import annotations

import functools
import pkgutil

import msgspec

from openclaw_actors.ids import ProviderId

REFERENCE_VERSION = "2026.5.22"
"""The OpenClaw version whose rules are mirrored."""

_SPELLINGS = {
    "modelstudio": "qwen",
    "qwencloud": "qwen",
    "z.ai": "zai",
    "z-ai": "zai",
    "opencode-zen": "opencode",
    "opencode-go-auth": "opencode-go",
    "bytedance": "volcengine",
    "doubao": "volcengine",
    "anthropic-cli": "claude-cli",
    "kimi-code": "kimi",
    "kimi-coding": "kimi",
    "moonshotai": "moonshot",
    "moonshot-ai": "moonshot",
    "bedrock": "amazon-bedrock",
    "aws-bedrock": "amazon-bedrock",
}
"""Other spellings of an id (provider-id.ts @ 2026.5.22)."""

_EXTRA_ENV_NAME_MARKERS = frozenset(
    {
        "GOOGLE_API_KEY",
        "DEEPSEEK_API_KEY",
        "PERPLEXITY_API_KEY",
        "FIREWORKS_API_KEY",
        "NOVITA_API_KEY",
        "AZURE_OPENAI_API_KEY",
        "AZURE_API_KEY",
        "MINIMAX_CODE_PLAN_KEY",
    }
)
"""Names that mean "read that variable" without being any provider's variable (model-auth-markers.ts @ 2026.5.22)."""

_CORE_MARKERS = frozenset({"custom-local", "ollama-local", "secretref-managed"})
"""Texts that are no secret wherever a key is expected (model-auth-markers.ts @ 2026.5.22)."""

AWS_MARKERS = frozenset({"AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"})
"""AWS variable names that OpenClaw stores as non-secret markers (model-auth-markers.ts @ 2026.5.22)."""

AWS_VARIABLES = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""The variables by which the AWS SDK's default chain can be seen to have credentials (AWS SDK reference, environment
variables).
"""


class AuthEvidence(msgspec.Struct, frozen=True, rename="camel"):
    """A file that, together with some variables, counts as a credential (formats 4.4)."""

    file_env_var: str
    fallback_paths: tuple[str, ...]
    requires_any_env: tuple[str, ...]
    requires_all_env: tuple[str, ...]
    credential_marker: str
    source: str


class ProviderTables(msgspec.Struct, frozen=True, rename="camel"):
    """The tables of one OpenClaw version."""

    env_candidates: dict[str, tuple[str, ...]]
    """Provider id → variables, first non-empty wins."""
    auth_aliases: dict[str, str]
    """Provider id → the id whose credentials it uses."""
    auth_evidence: dict[str, tuple[AuthEvidence, ...]]
    synthetic_auth_refs: tuple[str, ...]
    non_secret_auth_markers: tuple[str, ...]
    plugin_providers: dict[str, tuple[str, ...]]
    """Plugin id → provider ids."""


@functools.cache
def _all_tables() -> dict[str, ProviderTables]:
    text = pkgutil.get_data(__package__, "provider-facts.json")
    assert text is not None
    return msgspec.json.decode(text, type=dict[str, ProviderTables])


@functools.cache
def tables() -> ProviderTables:
    """Return the tables of the reference version. Reads package data on the first call."""
    return _all_tables()[REFERENCE_VERSION]


_LONGEST_REMEMBERED = 128
"""Longer spellings aren't remembered, in characters: they come from requests, and are nobody's."""


def normalise_provider(text: str) -> ProviderId:
    """Return the normalised id of any spelling: trimmed, lower case, other spellings replaced."""
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _normalised(text)


def _normalised(text: str) -> ProviderId:
    lowered = text.strip().lower()
    return ProviderId(_SPELLINGS.get(lowered, lowered))


_remembered = functools.lru_cache(maxsize=4096)(_normalised)


def auth_provider(provider: ProviderId) -> ProviderId:
    """Return the id whose credentials this provider uses: its alias target, or itself."""
    return ProviderId(tables().auth_aliases.get(provider, provider))


def env_candidates(provider: ProviderId) -> tuple[str, ...]:
    """Return the variables that hold a key of this provider, in order; looked up under the alias target."""
    return tables().env_candidates.get(auth_provider(provider), ())


@functools.cache
def env_variable_names() -> frozenset[str]:
    """Return every variable that is some provider's."""
    return frozenset(name for names in tables().env_candidates.values() for name in names)


@functools.cache
def env_name_markers() -> frozenset[str]:
    """Return the texts that, standing as a key, mean "read that variable"."""
    return env_variable_names() | _EXTRA_ENV_NAME_MARKERS


def is_non_secret_marker(text: str) -> bool:
    """Tell whether a text stands for "no literal secret here" (environment names are not meant: see
    `env_name_markers`).

    The markers that plugin manifests add (`lmstudio-local`, `minimax-oauth`) are not among them: the published build
    looks for the manifests in a folder that it doesn't have, and so takes those texts for keys.
    """
    return text in _CORE_MARKERS or text.startswith("oauth:") or text in AWS_MARKERS


@functools.cache
def known_providers() -> frozenset[ProviderId]:
    """Return every provider id that the fact tables name, of all versions in them, normalised."""
    ids: set[str] = set()
    for version in _all_tables().values():
        ids |= version.env_candidates.keys() | version.auth_aliases.keys() | set(version.auth_aliases.values())
        ids |= version.auth_evidence.keys() | set(version.synthetic_auth_refs)
        for provided in version.plugin_providers.values():
            ids.update(provided)
    return frozenset(normalise_provider(text) for text in ids)
