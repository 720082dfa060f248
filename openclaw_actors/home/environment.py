"""The variables and files around a home that count as credentials (formats 4.3, 4.4)."""

from __future__ import annotations

import os
import re

from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import ConfigFacts, EnvironmentFacts, EnvVar, KeyForm
from openclaw_actors.home.opaque import OpaqueEnv
from openclaw_actors.home.paths import HomeLocation, absolute
from openclaw_actors.home.providers import (
    AWS_VARIABLES,
    AuthEvidence,
    env_name_markers,
    normalise_provider,
    tables,
)

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def environment_facts(
    env: OpaqueEnv, config: ConfigFacts, location: HomeLocation, digester: Digester
) -> tuple[EnvironmentFacts, tuple[str, ...]]:
    """Return the facts of the merged environment, and the paths whose existence they depend on."""
    looked_for: list[str] = []
    variables = []
    for name in sorted(_names(config)):
        value = env.get(name)
        if value is not None:
            variables.append(EnvVar(name, digester(value), env.origin(name)))
    evidence = []
    for provider, rules in tables().auth_evidence.items():
        if not _is_disabled(provider, config.disabled_plugins):
            found = next((path for rule in rules if (path := _evidence_file(rule, env, looked_for))), "")
            if found:
                evidence.append((normalise_provider(provider), found))
    aws = _aws_file(env, location)
    looked_for.append(aws)
    everything = digester.of_parts(*(part for name in sorted(env) for part in (name, env.raw(name) or "")))
    facts = EnvironmentFacts(tuple(variables), tuple(evidence), aws if os.path.isfile(aws) else "", everything)
    return facts, tuple(dict.fromkeys(looked_for))


def _names(config: ConfigFacts) -> set[str]:
    names = set(env_name_markers())
    names.update(AWS_VARIABLES)
    for rules in tables().auth_evidence.values():
        for rule in rules:
            names.add(rule.file_env_var)
            names.update(rule.requires_any_env)
            names.update(rule.requires_all_env)
    for key in (*(provider.key for provider in config.providers), config.xai_search_key):
        if key.form in (KeyForm.ENV_REF, KeyForm.ENV_NAME) and key.name:
            names.add(key.name)
    names.discard("")
    return names


def _is_disabled(provider: str, disabled: tuple[str, ...]) -> bool:
    owners = [plugin for plugin, provided in tables().plugin_providers.items() if provider in provided]
    return bool(owners) and all(plugin in disabled for plugin in owners)


def _evidence_file(rule: AuthEvidence, env: OpaqueEnv, looked_for: list[str]) -> str:
    """Return the file that completes one piece of evidence, or an empty text. Only existence counts."""
    complete = all(env.get(name) for name in rule.requires_all_env) and (
        not rule.requires_any_env or any(env.get(name) for name in rule.requires_any_env)
    )
    named = env.text(rule.file_env_var) if rule.file_env_var else ""
    if named:
        candidates = [os.path.abspath(named.replace("\0", ""))]  # no `~` here: OpenClaw takes the path as it is
    else:
        candidates = [path for text in rule.fallback_paths if (path := _expanded(text, env))]
    looked_for += candidates
    return next((path for path in candidates if os.path.exists(path)), "") if complete else ""


def _expanded(text: str, env: OpaqueEnv) -> str:
    """Fill the variables of a path in; empty when one of them is blank. `HOME` is the raw variable, not OpenClaw's
    `~`.
    """
    if not all(env.text(name) for name in _PLACEHOLDER.findall(text)):
        return ""
    return os.path.abspath(_PLACEHOLDER.sub(lambda found: env.text(found[1]), text).replace("\0", ""))


def _aws_file(env: OpaqueEnv, location: HomeLocation) -> str:
    named = env.text("AWS_SHARED_CREDENTIALS_FILE")
    home = env.text("HOME") or location.os_home
    return (
        absolute(named, home) if named else os.path.join(os.path.abspath(home.replace("\0", "")), ".aws", "credentials")
    )
