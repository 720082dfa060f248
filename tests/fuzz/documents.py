"""Strategies for documents that are nearly right: the shapes that OpenClaw writes, then broken by type, nesting,
number, text, key and byte.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from decoders import SEPARATOR
from hypothesis import strategies as st

Document = Any

_HOUR_MS = 3_600_000
_ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "\ufeff",
    "\u2028",
    "${A}",
    "$${A}",
    "${ACME_KEY}",
    "${MISSING_NAME}",
    "secretref-env:ACME_KEY",
    "~",
    "../../..",
    "/",
    "a\x00b",
    "\x1b[31m",
    "éß漢字🦞",
    "x" * 5000,
    "https://user:pass@[::1",
    "OPENAI_API_KEY",
    "oauth:x",
    "\ud800",
    "\udfff tail",
    "\udc80",
    "/tmp/\ud800",
    "__proto__",
    "9" * 400,
    "openai:",
    ":",
    "1e999",
)
_ODD_NUMBERS = (
    0,
    -1,
    1e308,
    -1e308,
    5e-324,
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    10**400,
    float("nan"),
    float("inf"),
    float("-inf"),
    1893456000000,
    0.1,
)

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_ODD_NUMBERS),
    st.sampled_from(_ODD_TEXTS),
    st.text(max_size=20),
    st.sampled_from([[], {}, [[]], [{}], {"": {}}, {"source": "env", "id": "A"}, [None], ["a", 1, None]]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=6,
    ),
)
"""Values that may stand anywhere."""

_refs = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["env", "file", "exec", "", "ENV"]),
        "id": st.sampled_from(["ACME_KEY", "/a", "value", "a/../b"]),
    },
    optional={"provider": st.sampled_from(["default", "disk", "single", "none", "No"])},
)
_keys = st.sampled_from(["sk-1", " ", "${ACME_KEY}", "$ACME_KEY", "ollama-local", "OPENAI_API_KEY"]) | _refs
_providers = st.sampled_from(
    ["openai", "anthropic", "acme", "Z.AI", "amazon-bedrock", "github-copilot", "ollama", "x y"]
)
_ids = st.builds("{}:{}".format, _providers, st.sampled_from(["default", "work", "me", ""]))
_models = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["a", "gpt-5", " ", "x/y"])},
        optional={
            "name": st.just("A"),
            "contextWindow": st.sampled_from([1, 128000, -1, 2**53, 1e308]),
            "reasoning": st.booleans(),
            "input": st.just(["text", "image"]),
        },
    ),
    max_size=2,
)

configs = st.fixed_dictionaries(
    {},
    optional={
        "agents": st.fixed_dictionaries(
            {},
            optional={
                "list": st.lists(
                    st.fixed_dictionaries(
                        {"id": st.sampled_from(["main", "ops", "Ops", "a b", ""])},
                        optional={
                            "agentDir": st.sampled_from(["~/x", "rel", "/nowhere/a"]),
                            "workspace": st.sampled_from(["~", "w"]),
                            "default": st.booleans(),
                            "model": st.sampled_from(["acme/a", {"primary": "acme/a", "fallbacks": ["openai/gpt-5"]}]),
                        },
                    ),
                    max_size=3,
                ),
                "defaults": st.just({"models": {"acme/*": {}}, "workspace": "~/w", "model": {"primary": "acme/a"}}),
            },
        ),
        "models": st.fixed_dictionaries(
            {
                "providers": st.dictionaries(
                    _providers,
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "baseUrl": st.sampled_from(
                                ["https://acme.test/v1", "http://127.0.0.1:1", "http://u:p@h?q=1#f"]
                            ),
                            "apiKey": _keys,
                            "api": st.just("openai-completions"),
                            "auth": st.sampled_from(["api-key", "aws-sdk", "oauth"]),
                            "headers": st.just({"Authorization": "Bearer x", "X-Key": {"source": "env", "id": "A"}}),
                            "models": _models,
                        },
                    ),
                    max_size=3,
                )
            },
            optional={"mode": st.sampled_from(["merge", "replace"])},
        ),
        "auth": st.just(
            {
                "profiles": {"openai:work": {"provider": "openai", "mode": "api_key"}},
                "order": {"openai": ["openai:work"]},
                "cooldowns": {"billingBackoffHours": 5, "overloadedBackoffMs": {"openai": 1}},
            }
        ),
        "env": st.just({"A": "1", "vars": {"VENICE_API_KEY": "sk"}, "shellEnv": {"enabled": True}}),
        "secrets": st.just(
            {
                "defaults": {"env": "default", "file": "disk"},
                "providers": {
                    "disk": {"source": "file", "path": "~/../home/vault.json"},
                    "single": {"source": "file", "path": "~/../home/vault.json", "mode": "singleValue", "maxBytes": 9},
                    "run": {"source": "exec", "command": "/bin/true"},
                },
            }
        ),
        "plugins": st.just(
            {"entries": {"xai": {"enabled": False, "config": {"webSearch": {"apiKey": "k"}}}}, "deny": ["x"]}
        ),
        "$include": st.sampled_from(
            ["./included.json5", ["./included.json5", "included.json5"], "../out.json", "openclaw.json"]
        ),
    },
)

_expiries = st.sampled_from([0, 1, 1893456000000, 1600000000000, -5, 1e18, "2030-01-01"])
profiles = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("api_key"), "provider": _providers},
        optional={"key": _keys, "keyRef": _refs, "email": st.just("a@b")},
    ),
    st.fixed_dictionaries(
        {"type": st.just("token"), "provider": _providers},
        optional={"token": _keys, "tokenRef": _refs, "expires": _expiries},
    ),
    st.fixed_dictionaries(
        {"type": st.just("oauth"), "provider": _providers},
        optional={
            "access": st.sampled_from(["a", ""]),
            "refresh": st.sampled_from(["r", ""]),
            "expires": _expiries,
            "idToken": st.just("i"),
            "accountId": st.just("acc"),
            "oauthRef": st.just({"id": "x"}),
        },
    ),
)
stores = st.fixed_dictionaries(
    {"version": st.just(1), "profiles": st.dictionaries(_ids, profiles, max_size=4)},
    optional={"order": st.just({"openai": ["openai:work"]}), "lastGood": st.just({"openai": "openai:work"})},
)
states = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "order": st.dictionaries(_providers, st.lists(_ids, max_size=3), max_size=2),
        "lastGood": st.dictionaries(_providers, _ids, max_size=2),
        "usageStats": st.dictionaries(
            _ids,
            st.fixed_dictionaries(
                {},
                optional={
                    "lastUsed": _expiries,
                    "errorCount": st.integers(-1, 9),
                    "cooldownUntil": _expiries,
                    "cooldownReason": st.sampled_from(["rate_limit", "overloaded", "nonsense"]),
                    "cooldownModel": st.just("gpt-5"),
                    "disabledUntil": _expiries,
                    "disabledReason": st.sampled_from(["billing", "auth"]),
                    "blockedUntil": _expiries,
                    "failureCounts": st.just({"rate_limit": 2, "billing": 1}),
                },
            ),
            max_size=3,
        ),
    },
)
models_files = st.builds(
    lambda rows: {"providers": rows},
    st.dictionaries(
        _providers,
        st.fixed_dictionaries({"models": _models}, optional={"baseUrl": st.just("https://a.test")}),
        max_size=3,
    ),
)
logins = st.sampled_from(
    [
        {"tokens": {"access_token": "a.eyJleHAiOjE4OTM0NTYwMDB9.c", "refresh_token": "r", "account_id": "acc"}},
        {"claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": 1893456000000}},
        {"access_token": "a", "refresh_token": "r", "expiry_date": 1893456000000, "id_token": "h.eyJzdWIiOiIxIn0.s"},
    ]
)
requests = st.one_of(
    st.fixed_dictionaries(
        {"version": st.sampled_from([1, 2]), "op": st.sampled_from(["recheck", "stop"])},
        optional={
            "provider": st.text(max_size=9),
            "agent": st.just("main"),
            "wait_s": st.sampled_from([0, 1.5, 300, 301]),
        },
    ),
    st.just({"answer": "refused", "version": 1, "error": "busy", "message": "later"}),
    st.just(
        {
            "answer": "rechecked",
            "version": 1,
            "pid": 1,
            "instance": "i",
            "generation": 2,
            "answered": True,
            "took_ms": 1.0,
            "agents": {
                "main": {"x": {"state": "usable", "has_auth": True, "reason": "", "next_step": "", "fresh": True}}
            },
            "counts": {},
        }
    ),
)
_SETTINGS = {"watch": True, "read_threads": 4, "source_deadline_s": 5.0, "digest_key": "AAECAwQFBgcICQoLDA0ODw=="}


@st.composite
def broken(draw: st.DrawFn, good: st.SearchStrategy[Document]) -> Document:
    """Draw a document of a good shape, with up to four of its values replaced, removed or doubled."""
    document = copy.deepcopy(draw(good))
    for _ in range(draw(st.integers(0, 4))):
        places = list(_places(document))
        if not places:
            break
        parent, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["replace", "replace", "remove", "nest", "rename"]))
        if kind == "replace":
            parent[key] = copy.deepcopy(draw(odd))
        elif kind == "nest":
            depth = draw(st.sampled_from([1, 3, 60, 200]))
            for _ in range(depth):
                parent[key] = [parent[key]]
        elif kind == "remove":
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(_ODD_TEXTS) | st.text(max_size=8))] = parent.pop(key)
    return document


def _places(document: Document, deepest: int = 12) -> Any:
    if deepest and isinstance(document, (dict, list)):
        for key in list(document) if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from _places(document[key], deepest - 1)


@st.composite
def texts(draw: st.DrawFn, document: Document) -> bytes:
    """Draw a way in which a document may stand on disk: mostly as its JSON, else doubled keys, torn, or with bytes
    changed.
    """
    text = json.dumps(document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))
    data = text.encode("utf-8", "surrogatepass")
    kind = draw(st.sampled_from(["plain"] * 6 + ["torn", "doubled", "byte", "nul", "bom", "utf-16", "trailing"]))
    if kind == "torn":
        data = data[: draw(st.integers(0, len(data)))]
    elif kind == "doubled" and data.startswith(b"{") and len(data) > 2:
        data = data[:-1] + b"," + data[1:]
    elif kind == "byte" and data:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at + 1 :]
    elif kind == "nul":
        data += b"\0" * draw(st.integers(1, 9))
    elif kind == "bom":
        data = b"\xef\xbb\xbf" + data
    elif kind == "utf-16":
        data = text.encode("utf-16", "surrogatepass")
    elif kind == "trailing":
        data += data
    return data


def near(good: st.SearchStrategy[Document]) -> st.SearchStrategy[bytes]:
    """Return the strategy of texts of nearly right documents."""
    return broken(good).flatmap(texts)


@st.composite
def config_files(draw: st.DrawFn) -> bytes:
    """Draw a config with an included file, a file of secrets and a dotenv file."""
    vault = draw(near(st.just({"a": "sk-in-a-file", "b": {"c": ["x", 1, None]}})))
    parts = (draw(near(configs)), draw(near(configs)), vault, draw(dotenvs))
    return SEPARATOR.join(parts)


@st.composite
def toml(draw: st.DrawFn) -> bytes:
    """Draw a settings file."""
    lines = []
    for name, value in draw(broken(st.just(_SETTINGS))).items():
        lines.append(f"{json.dumps(name)} = {json.dumps(value)}")
    lines += draw(
        st.lists(
            st.sampled_from(
                [
                    "read_threads = " + "9" * 5000,
                    "read_threads = 0x" + "f" * 5000,
                    "source_deadline_s = 1e400",
                    "source_deadline_s = " + "9" * 400,
                    "source_deadline_s = nan",
                    "watch = 2024-13-45",
                    "watch = 0000-00-00T99:99:99Z",
                    "x = " + "[" * 3000,
                    "x." * 2000 + "y = 1",
                    "x = {" * 2000,
                    "[[a]]",
                    "[watch]",
                    'x = "\\ud800"',
                    "read_threads = -0",
                    "poll_interval_s = 1e-320",
                ]
            ),
            max_size=2,
        )
    )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


dotenvs = st.one_of(
    st.lists(
        st.builds(
            "{}{}{}{}".format,
            st.sampled_from(["", "export ", "  ", "#"]),
            st.sampled_from(["A", "ACME_KEY", "a.b-c", "9", "", "A" * 3000]),
            st.sampled_from(["=", " = ", ": ", ":", ""]),
            st.sampled_from(
                ["v", "'v'", '"v\\n"', "`v", "'", '"\\"', "v # c", "'a' b", "\\'", "x" * 3000, "\ufeff\x00"]
            ),
        ),
        max_size=6,
    ).map(lambda lines: "\n".join(lines).encode()),
    st.binary(max_size=60),
)

_chat_words = st.one_of(
    st.sampled_from(
        [
            "/models",
            "/MODELS@bot",
            "list",
            "providers",
            "add",
            "acme",
            " Z.AI ",
            "openai",
            "all",
            "--ALL",
            "3",
            "-1",
            "0",
        ]
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["page", "limit", "SIZE", "all", ""]),
        st.sampled_from(["=", "==", " = "]),
        st.one_of(st.integers().map(str), st.sampled_from(["9" * 5000, "²", "٣", "1e3", "0x1", "", "acme"])),
    ),
    st.text(max_size=20),
)
chats = st.one_of(
    st.lists(_chat_words, max_size=6).map(lambda words: " ".join(["/models", *words]).encode("utf-8", "replace")),
    st.lists(_chat_words, max_size=3).map(lambda words: " ".join(words).encode("utf-8", "replace")),
    st.from_regex(r"(mdl|mdlpk)_[plm][dca][A-Za-z0-9_-]{28}[0-9a-z]{1,8}\.[0-9a-z]{1,8}\.[A-Za-z0-9_-]{8}").map(
        str.encode
    ),
)

STRATEGIES: dict[str, st.SearchStrategy[bytes]] = {
    "config": config_files(),
    "store": near(stores),
    "state": near(states),
    "legacy": near(st.dictionaries(_providers, profiles, max_size=3)),
    "dotenv": dotenvs,
    "models": near(models_files),
    "logins": near(logins),
    "settings": toml(),
    "control": near(requests),
    "chat": chats,
}
"""Nearly right documents for each of the decoders."""
