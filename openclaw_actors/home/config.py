"""What a config says about credentials: built from the parsed document, which is not kept (formats 1.4)."""

from __future__ import annotations

import json

import msgspec

from openclaw_actors.home.agents import agent_defaults, default_model_refs, read_agents
from openclaw_actors.home.facts import (
    AuthProfileConfig,
    ConfigFacts,
    ConfigModel,
    Finding,
    KeyFacts,
    KeyForm,
    ProviderConfig,
)
from openclaw_actors.home.paths import HomeLocation, main_agent_dir
from openclaw_actors.home.plugins import plugin_switches
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.secrets import Resolver, SecretRules, is_secret_ref
from openclaw_actors.home.urls import public_url
from openclaw_actors.ids import ProviderId, StoreId

_MAX_FINDINGS = 100
_SHELL_SWITCH = "OPENCLAW_LOAD_SHELL_ENV"
_REFERENCES = frozenset({KeyForm.ENV_REF, KeyForm.ENV_NAME, KeyForm.FILE_REF, KeyForm.EXEC_REF, KeyForm.MALFORMED})


def config_facts(
    document: dict[str, object],
    *,
    path: str,
    exists: bool,
    location: HomeLocation,
    resolver: Resolver,
    unresolved: list[tuple[str, str]],
) -> ConfigFacts:
    """Build the facts of one config; wrong types in places that don't matter are passed over.

    Args:
        document: After includes and substitution.
        path: The config file.
        exists: Whether there is one.
        location: The home.
        resolver: By the merged environment (the config's own `env` block included), the rules of the document's
            `secrets` block and its secret files.
        unresolved: (place, name) of the variables that could not be substituted.
    """
    env, digester = resolver.env, resolver.digester
    agents, default, findings = read_agents(document, location, env.raw_side, path)
    findings += [
        Finding(
            path, f"the variable {name} is not set", "Set it, or remove the reference.", place, "unresolved-variable"
        )
        for place, name in unresolved
    ]
    models, auth = _object(document, "models"), _object(document, "auth")
    substituted = {place for place, _ in unresolved}
    providers, activate = [], True
    for spelled, entry in _object(models, "providers").items():
        if isinstance(entry, dict) and spelled.strip():
            provider = _provider(spelled, entry, resolver)
            providers.append(provider)
            activate = activate and (entry.get("enabled") is False or _can_activate(provider.key, resolver.rules))
            _report_key(provider.key, f"models.providers.{spelled}.apiKey", path, substituted, findings)
    xai = _xai_search_key(document, resolver)
    _report_key(xai, "the web search key of xai", path, substituted, findings)
    if _object(_object(document, "env"), "shellEnv").get("enabled") is True or env.text(_SHELL_SWITCH) in ("1", "true"):
        findings.append(
            Finding(
                path,
                "variables of the login shell are asked for; they are not imported",
                "Set them in the process's environment or in the home's .env file.",
                "env.shellEnv",
                "shell-env",
            )
        )
    defaults = agent_defaults(document)
    disabled, reached = plugin_switches(_object(document, "plugins"))
    return ConfigFacts(
        path=path,
        exists=exists,
        state_dir=location.state_dir,
        main_store=StoreId(main_agent_dir(location.state_dir)),
        agents=agents,
        default_agent=default,
        providers=tuple(providers),
        auth_profiles=tuple(_auth_profiles(auth)),
        auth_order=_auth_order(auth),
        cooldowns=_numbers_as_json(auth.get("cooldowns")),
        allowlist=tuple(key for key in _object(defaults, "models") if key.strip()),
        default_model_refs=default_model_refs(defaults),
        models_mode="replace" if models.get("mode") == "replace" else "merge",
        xai_search_key=xai,
        disabled_plugins=disabled,
        reached_plugins=reached,
        secrets_digest=digester.of_parts(
            json.dumps(document.get("secrets"), sort_keys=True), resolver.files.digest(digester)
        ),
        secrets_activate=activate,
        findings=(*findings[:_MAX_FINDINGS], *resolver.files.findings[:_MAX_FINDINGS]),
    )


def _object(parent: object, key: str) -> dict[str, object]:
    value = parent.get(key) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _provider(spelled: str, entry: dict[str, object], resolver: Resolver) -> ProviderConfig:
    headers = entry.get("headers")
    rows = entry.get("models")
    return ProviderConfig(
        id=normalise_provider(spelled),
        spelled=spelled,
        base_url=public_url(entry.get("baseUrl")),
        api=_text(entry.get("api")),
        auth=_text(entry.get("auth")),
        key=resolver.configured(entry.get("apiKey")),
        models=tuple(model for row in (rows if isinstance(rows, list) else ()) if (model := _model(row)) is not None),
        has_headers=isinstance(headers, dict) and bool(headers),
        has_authorization=isinstance(headers, dict)
        and any(name.strip().lower() == "authorization" and _is_given(value) for name, value in headers.items()),
        has_auth_header=isinstance(entry.get("authHeader"), bool),
        has_request=entry.get("request") is not None,
    )


def _can_activate(key: KeyFacts, rules: SecretRules) -> bool:
    """Tell whether OpenClaw can put a text in a reference's place (runtime-shared.ts); of exec references only what the
    declaration says is known.
    """
    if key.form is KeyForm.EXEC_REF:
        declared = rules.declared(key.name.split(":")[1]) if key.name else None
        return declared is not None and declared[0] == "exec"
    if key.form is KeyForm.FILE_REF:
        return key.is_text
    return key.resolved or key.form is not KeyForm.ENV_REF


def _is_given(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else is_secret_ref(value)


def _model(row: object) -> ConfigModel | None:
    if not isinstance(row, dict) or not _text(row.get("id")):
        return None
    window, reasoning, inputs = row.get("contextWindow"), row.get("reasoning"), row.get("input")
    sound = isinstance(window, (int, float)) and not isinstance(window, bool) and 0 < window < 2**53
    return ConfigModel(
        _text(row.get("id")),
        _text(row.get("name")),
        int(window) if sound else None,  # type: ignore[arg-type]
        reasoning if isinstance(reasoning, bool) else None,
        tuple(item for item in inputs if isinstance(item, str)) if isinstance(inputs, list) else (),
    )


def _report_key(key: KeyFacts, place: str, path: str, substituted: set[str], findings: list[Finding]) -> None:
    if key.form in _REFERENCES and not key.resolved and place not in substituted:
        findings.append(
            Finding(
                path,
                f"the key is not resolved: {key.problem}",
                "Provide the secret, or remove the key.",
                place,
                "unresolved-ref",
            )
        )


def provider_entry(document: dict[str, object], provider: str) -> tuple[str, dict[str, object]] | None:
    """Return a provider's entry of `models.providers`, with its key there: the exact id first, then any spelling."""
    entries = _object(_object(document, "models"), "providers")
    spelled = next((one for one in (provider, *entries) if _is_entry_of(provider, one, entries.get(one))), None)
    return None if spelled is None else (spelled, _object(entries, spelled))


def _is_entry_of(provider: str, spelled: str, entry: object) -> bool:
    return isinstance(entry, dict) and bool(spelled.strip()) and normalise_provider(spelled) == provider


def _xai_search_key(document: dict[str, object], resolver: Resolver) -> KeyFacts:
    return resolver.configured(xai_search_value(document))


def xai_search_value(document: dict[str, object]) -> object:
    """Return what stands where the web search key of xai is expected; it may be a secret."""
    entry = _object(_object(_object(document, "plugins"), "entries"), "xai")
    value = _object(_object(entry, "config"), "webSearch").get("apiKey")
    if value is None:
        value = _object(_object(_object(_object(document, "tools"), "web"), "search"), "grok").get("apiKey")
    return value


def _auth_profiles(auth: dict[str, object]) -> list[AuthProfileConfig]:
    return [
        AuthProfileConfig(name, normalise_provider(_text(entry.get("provider"))), _text(entry.get("mode")))
        for name, entry in _object(auth, "profiles").items()
        if isinstance(entry, dict) and _text(entry.get("provider"))
    ]


def _auth_order(auth: dict[str, object]) -> tuple[tuple[ProviderId, tuple[str, ...]], ...]:
    order: dict[ProviderId, tuple[str, ...]] = {}
    for spelled, ids in _object(auth, "order").items():
        if isinstance(ids, list):
            order.setdefault(normalise_provider(spelled), tuple(text for item in ids if (text := _text(item))))
    return tuple(order.items())


def _numbers_as_json(block: object) -> bytes:
    """Return an object of numbers (one level of nesting) as JSON; anything else in it is no setting and is left out."""
    if not isinstance(block, dict):
        return b""

    def is_number(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53

    kept: dict[str, object] = {}
    for key, value in block.items():
        if is_number(value):
            kept[key] = value
        elif isinstance(value, dict):
            kept[key] = {inner: number for inner, number in value.items() if is_number(number)}
    return msgspec.json.encode(kept) if kept else b""
