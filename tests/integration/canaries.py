"""A home with a secret in every place that is read, and what looks for them."""

from __future__ import annotations

import gc
import json
import types
from collections.abc import Iterator

import msgspec
from homes import (
    CANARY,
    Home,
    SqliteOwner,
    api_key,
    eventually,
    now_ms,
    oauth,
    replace_text,
    secret,
    token,
    write_secret,
)

from openclaw_actors import AuthSupervisor, Change, Scope
from openclaw_actors.home.opaque import OpaqueEnv

HOLDERS = (OpaqueEnv,)
"""The only objects that may hold secrets after a reading: the environment, dotenv files included, as opaque values."""


def jwt(name: str) -> str:
    """Return something of the shape of a JWT that doesn't expire soon."""
    return f"{secret(name)}.{secret(name)}.{secret(name)}"


def fill_with_secrets(home: Home) -> SqliteOwner:
    """Put a secret into every place that is read; return the owner of the one database, to be closed."""
    included = f"{{models: {{providers: {{included: {{baseUrl: 'https://i.test', apiKey: '{secret('included')}'}}}}}}}}"
    write_secret(home.path / "keys.json5", included)
    home.agents("main", "ops", "lab").write_config(
        env={"VENICE_API_KEY": secret("config-env"), "vars": {"XAI_API_KEY": secret("config-vars")}},
        gateway={"auth": {"token": secret("gateway-token"), "password": secret("gateway-password")}},
        models={
            "providers": {
                "acme": {
                    "baseUrl": f"https://user:{secret('url')}@acme.test/v1?key={secret('query')}",
                    "apiKey": secret("config-key"),
                    "api": "openai-completions",
                    "headers": {"X-Api-Key": secret("header"), "Authorization": f"Bearer {secret('bearer')}"},
                    "models": [{"id": "anvil-1", "headers": {"x": secret("model-header")}}],
                },
                "byref": {
                    "baseUrl": "https://byref.test/v1",
                    "apiKey": "${DOTENV_KEY}",
                    "api": "openai-completions",
                    "models": [{"id": "b1"}],
                },
                "wrong-ref": {
                    "baseUrl": "https://wrong.test/v1",
                    "apiKey": {"source": "env", "provider": "default", "id": secret("as-an-id")},
                    "models": [{"id": "w1"}],
                },
                "byfile": {
                    "baseUrl": "https://byfile.test/v1",
                    "apiKey": {"source": "file", "provider": "disk", "id": "/byfile"},
                    "models": [{"id": "f1"}],
                },
                "nofile": {
                    "baseUrl": "https://nofile.test/v1",
                    "apiKey": {"source": "file", "provider": "disk", "id": "/byfile/deeper"},
                    "models": [{"id": "f2"}],
                },
                "local": {
                    "baseUrl": f"http://{secret('user')}@127.0.0.1:8000/v1",
                    "api": "openai-completions",
                    "models": [{"id": "l1"}],
                },
            }
        },
        secrets={
            "providers": {
                "vault": {"source": "exec", "command": "/bin/true", "env": {"T": secret("exec-env")}},
                "disk": {"source": "file", "path": str(home.user / "vault.json")},
                "single": {"source": "file", "path": str(home.user / "single"), "mode": "singleValue"},
            }
        },
        **{"$include": "./keys.json5"},
        plugins={"entries": {"xai": {"config": {"webSearch": {"apiKey": secret("plugin")}}}}},
    )
    home.write_profiles(
        openai__work=api_key("openai"),
        deepseek__file={
            "type": "api_key",
            "provider": "deepseek",
            "keyRef": {"source": "file", "provider": "single", "id": "value"},
        },
        anthropic__me=oauth("anthropic"),
        github__x={**token("github-copilot", expires_in_s=-60.0)},
        groq__old=oauth("groq", expires_in_s=-60.0),
        perplexity__full={
            **oauth("perplexity"),
            "idToken": jwt("id-token"),
            "accountId": secret("account"),
            "email": f"{secret('email')}@example.test",
        },
        xai__long={**token("xai", expires_in_s=9e4), "tokenRef": {"source": "exec", "provider": "vault", "id": "a/b"}},
        fireworks__ref={"type": "api_key", "provider": "fireworks", "key": f"${{{secret('in-a-reference')}}}"},
        zai__bad={"type": "api_key", "provider": "zai", "key": {"source": secret("bad-source")}},
        moonshot__none={"type": "token", "provider": "moonshot", "token": "", "expires": secret("no-time")},
        dropped__one={"type": secret("no-type"), "provider": "mistral", "key": secret("dropped")},
        dropped__two=secret("not-an-object"),
    )
    home.write_usage(
        {
            "openai:work": {
                "cooldownUntil": now_ms(600),
                "cooldownReason": "rate_limit",
                "cooldownModel": "gpt-5",
                "errorCount": 1,
            }
        }
    )
    replace_text(home.agent_dir("ops") / "auth.json", json.dumps({"cerebras": api_key("cerebras", "legacy")}))
    replace_text(
        home.path / "credentials" / "oauth.json",
        json.dumps(
            {"chutes": {"access": secret("old-access"), "refresh": secret("old-refresh"), "expires": now_ms(9e4)}}
        ),
    )
    rows = {"acme": {"baseUrl": "https://acme.test/v1", "apiKey": secret("models-json"), "models": [{"id": "anvil-2"}]}}
    replace_text(home.agent_dir() / "models.json", json.dumps({"providers": rows}))
    replace_text(home.dotenv_path, f"DOTENV_KEY={secret('dotenv')}\nexport FAL_KEY='{secret('dotenv-quoted')}'\n")
    logins = {
        ".codex/auth.json": {"tokens": {"access_token": jwt("codex"), "refresh_token": secret("codex-refresh")}},
        ".claude/.credentials.json": {
            "claudeAiOauth": {
                "accessToken": secret("claude"),
                "refreshToken": secret("claude-r"),
                "expiresAt": now_ms(9e4),
            }
        },
        ".minimax/oauth_creds.json": {
            "access_token": secret("minimax"),
            "refresh_token": secret("minimax-r"),
            "expiry_date": now_ms(9e4),
        },
        ".gemini/oauth_creds.json": {
            "access_token": secret("gemini"),
            "refresh_token": secret("gemini-r"),
            "expiry_date": now_ms(9e4),
            "id_token": jwt("gemini-id"),
        },
    }
    for name, document in logins.items():
        replace_text(home.user / name, json.dumps(document))
    home.env.update(
        GEMINI_API_KEY=secret("env"), AWS_SECRET_ACCESS_KEY=secret("aws"), AWS_ACCESS_KEY_ID=secret("aws-id")
    )
    write_secret(home.user / "vault.json", json.dumps({"byfile": secret("in-a-file"), "more": secret("not-asked-for")}))
    write_secret(home.user / "single", secret("whole-file") + "\n")
    owner = SqliteOwner(home.agent_dir("lab"))
    owner.write({"together:x": api_key("together")})
    return owner


def live_a_little(supervisor: AuthSupervisor, home: Home) -> list[Change]:
    """Have everything happen that reads, compares, reports, fails and publishes, and return the changes."""
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    supervisor.report_failure("openai:work", "auth")
    supervisor.report_failure("config:acme", "billing")
    supervisor.report_failure("env:GEMINI_API_KEY", "rate_limit", model="gemini-3")
    assert eventually(lambda: not supervisor.has_auth("acme"))
    supervisor.recheck()
    supervisor.reload_config()
    supervisor.reload_plugins()
    good_config = home.config_path.read_text()
    replace_text(home.config_path, '{"models": {"providers": {"acme": {"apiKey": "' + secret("torn") + "\x00\n")
    replace_text(home.agent_dir("ops") / "auth-profiles.json", '{"profiles": {"a": {"key": "' + secret("torn-store"))
    write_secret(home.user / "vault.json", '{"byfile": "' + secret("torn-file"))
    assert eventually(lambda: not supervisor.health().ok)
    assert eventually(lambda: supervisor.stats().retries >= 2)
    replace_text(home.config_path, good_config.replace(secret("config-key"), secret("rotated")))
    replace_text(home.agent_dir("ops") / "auth-profiles.json", json.dumps({"profiles": {"xai:y": api_key("xai")}}))
    assert eventually(lambda: supervisor.has_auth("xai", agent_id="ops"))
    assert eventually(lambda: all(supervisor.verdict("acme", agent_id=one).fresh for one in ("main", "ops", "lab")))
    supervisor.invalidate(Scope.provider("acme"), "once more")
    assert eventually(lambda: supervisor.verdict("acme").fresh)
    assert eventually(lambda: changes)
    return changes


def assert_clean(text: str | bytes, what: str) -> None:
    """Fail with what is around a canary."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    at = shown.find(CANARY)
    assert at < 0, f"{what}: …{shown[max(0, at - 80) : at + 40]}…"


def holds_canary(value: object) -> bool:
    """Tell whether a text or some bytes hold the marker, plainly."""
    if isinstance(value, str):
        return CANARY in value
    return isinstance(value, (bytes, bytearray)) and CANARY.encode() in value


def reachable(
    root: object, into: tuple[type, ...] = (), besides: tuple[type, ...] = ()
) -> Iterator[tuple[str, object]]:
    """Yield each object that is reachable from a root, with the types on the way; holders are not entered, and types to
    be left out are passed over.
    """
    foreign = (*besides, type, types.ModuleType, types.FrameType, types.CodeType, types.BuiltinFunctionType)
    seen: set[int] = set()
    kept: list[object] = []  # keeps what is made on the way alive, so that ids stay theirs
    stack: list[tuple[str, object]] = [(type(root).__name__, root)]
    while stack:
        path, value = stack.pop()
        if id(value) in seen or isinstance(value, foreign):
            continue
        seen.add(id(value))
        kept.append(value)
        yield path, value
        if isinstance(value, HOLDERS) and not isinstance(value, into):
            continue
        below: list[object]
        if isinstance(value, types.FunctionType):
            # a function's globals are its module's; what it closes over and its defaults are its own
            below = [value.__closure__, value.__defaults__, value.__kwdefaults__]
        elif isinstance(value, msgspec.Struct):
            below = [getattr(value, name) for name in value.__struct_fields__]
        else:
            below = list(gc.get_referents(value))
        name = type(value).__name__
        tail = path if len(path) < 160 else f"…{path[-150:]}"
        stack.extend((f"{tail} > {name}" if name not in ("dict", "list", "tuple") else tail, one) for one in below)
