"""The order of profiles (OpenClaw 2026.5.22, order.ts)."""

from __future__ import annotations

import pytest
from facts_builders import (
    BLANK,
    NOW,
    api_key,
    cli,
    entry,
    env_ref,
    evidence_ids,
    index_of,
    oauth,
    provider,
    store,
    token,
)

from openclaw_actors.auth.check import gather
from openclaw_actors.auth.order import ProfileOrder, resolve_order
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.home.facts import ProfileFacts
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows


def order_of(name: str, index: SharedIndex, view: StoreView, **more: object) -> ProfileOrder:
    """Return one provider's order."""
    return resolve_order(provider(name), index, view, NOW, **more)  # type: ignore[arg-type]


TWO = store(api_key("volcengine:a"), api_key("volcengine:b"))


@pytest.mark.parametrize("name", ["volcengine", "volcengine-plan", "bytedance"])
def test_an_alias_finds_the_canonical_providers_profiles(name: str) -> None:
    """Profiles are found under the alias target, in file order when nothing else sorts them."""
    assert order_of(name, index_of(), TWO).ids == ("volcengine:a", "volcengine:b")


@pytest.mark.parametrize("key", ["volcengine", "volcengine-plan"])
def test_an_order_under_either_id_applies_to_the_alias(key: str) -> None:
    """Both the canonical id's order and the alias's own apply to the alias, from the store as from the config."""
    ids = ("volcengine:b", "volcengine:a")
    assert order_of("volcengine-plan", index_of(order={key: ids}), TWO).ids == ids
    stored = store(*TWO.profiles, order={key: ids})
    assert order_of("volcengine-plan", index_of(), stored).ids == ids


def test_the_canonical_order_beats_an_empty_one_of_the_alias() -> None:
    """An empty order of the alias falls back to the canonical one; the store's beats the config's."""
    orders = {"volcengine-plan": (), "volcengine": ("volcengine:b",)}
    assert order_of("volcengine-plan", index_of(order=orders), TWO).ids == ("volcengine:b",)
    stored = store(*TWO.profiles, order={"volcengine-plan": ("volcengine:a",)})
    assert order_of("volcengine-plan", index_of(order=orders), stored).ids == ("volcengine:a",)


def test_an_empty_order_means_none() -> None:
    """An explicit empty order leaves no profile, whoever holds it, and says so."""
    for index, view in (
        (index_of(order={"volcengine": ()}), TWO),
        (index_of(), store(*TWO.profiles, order={"volcengine": ()})),
    ):
        found = order_of("volcengine", index, view)
        assert found.ids == ()
        assert dict(found.excluded) == {"volcengine:a": "unlisted", "volcengine:b": "unlisted"}
        assert "order" in found.source


def test_codex_takes_openai_keys() -> None:
    """OpenAI API keys serve openai-codex after its own logins; other OpenAI profiles don't, nor the other way round."""
    view = store(api_key("openai:k"), oauth("openai:o"), oauth("openai-codex:x"))
    assert order_of("openai-codex", index_of(), view).ids == ("openai-codex:x", "openai:k")
    assert order_of("openai", index_of(), view).ids == ("openai:o", "openai:k")


def test_the_openai_order_serves_codex_unless_it_has_its_own() -> None:
    """openai's order comes before codex's native profiles; a direct order of codex beats it."""
    view = store(oauth("openai-codex:x"), api_key("openai:k"), oauth("openai:o"))
    orders: dict[str, tuple[str, ...]] = {"openai": ("openai:o", "openai:k")}
    assert order_of("openai-codex", index_of(order=orders), view).ids == ("openai:k", "openai-codex:x")
    orders["openai-codex"] = ("openai-codex:x",)
    assert order_of("openai-codex", index_of(order=orders), view).ids == ("openai-codex:x",)


def test_kinds_come_before_last_use() -> None:
    """Without an order: oauth, token, API key, then the one used longest ago."""
    view = store(
        api_key("groq:k1"),
        api_key("groq:k2"),
        token("groq:t"),
        oauth("groq:o1"),
        oauth("groq:o2"),
        usage={"groq:k1": Windows(last_used=5), "groq:o1": Windows(last_used=9), "groq:o2": Windows(last_used=3)},
    )
    assert order_of("groq", index_of(), view).ids == ("groq:o2", "groq:o1", "groq:t", "groq:k2", "groq:k1")


@pytest.mark.parametrize("order", [None, {"groq": ("groq:a", "groq:b", "groq:c")}])
def test_resting_profiles_come_last(order: dict[str, tuple[str, ...]] | None) -> None:
    """Profiles that rest come last, soonest end first, with and without an explicit order."""
    view = store(api_key("groq:a"), api_key("groq:b"), api_key("groq:c"))
    ends = {"groq:a": 20.0, "groq:b": 10.0}
    assert order_of("groq", index_of(order=order), view, resting=ends.get).ids == ("groq:c", "groq:b", "groq:a")


def test_a_preferred_profile_comes_first_if_it_is_there() -> None:
    """The preferred profile moves to the front and is never added."""
    assert order_of("volcengine", index_of(), TWO, preferred="volcengine:b").ids == ("volcengine:b", "volcengine:a")
    assert order_of("volcengine", index_of(), TWO, preferred="x").ids == ("volcengine:a", "volcengine:b")


@pytest.mark.parametrize(
    ("profile", "mode", "code"),
    [
        (api_key("groq:a"), "", ""),
        (api_key("groq:a", env_ref("UNSET", is_set=False)), "", ""),
        (api_key("groq:a", BLANK), "", "missing_credential"),
        (token("groq:a"), "", ""),
        (token("groq:a", (NOW + 1) * 1000), "", ""),
        (token("groq:a", NOW * 1000), "", "expired"),
        (token("groq:a", 0), "", "invalid_expires"),
        (token("groq:a", None, BLANK), "", "missing_credential"),
        (oauth("groq:a", access=False, expires_at=1.0), "", ""),
        (oauth("groq:a", refresh=False, expires_at=1.0), "", ""),
        (oauth("groq:a", access=False, refresh=False), "", "missing_credential"),
        (oauth("groq:a"), "api_key", "mode_mismatch"),
        (api_key("groq:a"), "oauth", "mode_mismatch"),
        (token("groq:a"), "oauth", ""),
        (token("groq:a"), "token", ""),
        (oauth("groq:a"), "token", "mode_mismatch"),
    ],
)
def test_eligibility(profile: ProfileFacts, mode: str, code: str) -> None:
    """A profile is tried when it holds something fitting that hasn't ended; else the order says why not."""
    found = order_of("groq", index_of(profiles={"groq:a": ("groq", mode)} if mode else None), store(profile))
    assert found.ids == (() if code else ("groq:a",))
    assert dict(found.excluded) == ({"groq:a": code} if code else {})


def test_the_configs_profiles_are_the_base() -> None:
    """When the config describes profiles of the provider, others are left out; if all miss, the store's count."""
    view = store(api_key("groq:a"), api_key("groq:b"))
    found = order_of("groq", index_of(profiles={"groq:b": ("groq", "api_key")}), view)
    assert found.ids == ("groq:b",)
    assert dict(found.excluded) == {"groq:a": "unlisted"}
    assert order_of("groq", index_of(profiles={"groq:z": ("groq", "api_key")}), view).ids == ("groq:a", "groq:b")
    # an order that lists strangers repairs itself only if the config describes profiles of the provider
    assert order_of("groq", index_of(order={"groq": ("groq:z",)}), view).ids == ()
    drifted = index_of(order={"groq": ("groq:z",)}, profiles={"groq:z": ("groq", "api_key")})
    assert order_of("groq", drifted, view).ids == ("groq:a", "groq:b")


def test_a_profile_of_another_provider_is_not_taken() -> None:
    """Listing a stranger's profile, or describing one under another provider, excludes it."""
    view = store(api_key("groq:a"), api_key("xai:a"))
    listed = order_of("groq", index_of(order={"groq": ("xai:a", "groq:a", "groq:a")}), view)
    assert listed.ids == ("groq:a",)
    assert dict(listed.excluded) == {"xai:a": "provider_mismatch"}
    described = order_of("groq", index_of(profiles={"groq:a": ("xai", "api_key")}), view)
    assert dict(described.excluded) == {"groq:a": "provider_mismatch"}


@pytest.mark.parametrize(
    ("auth", "name", "ids"),
    [
        ("", "amazon-bedrock", ("x:aws",)),
        ("aws-sdk", "p", ("x:aws",)),
        ("api-key", "amazon-bedrock", ()),
        ("", "p", ()),
    ],
)
def test_aws_profiles_live_in_the_config_alone(auth: str, name: str, ids: tuple[str, ...]) -> None:
    """A described aws-sdk profile is tried without a stored credential where the provider uses the AWS chain."""
    index = index_of(entry(name, auth=auth), profiles={"x:aws": (name, "aws-sdk")})
    assert order_of(name, index, store()).ids == ids


def test_adopted_logins_take_part() -> None:
    """A login of another program is a profile of the order while it is adopted."""
    assert order_of("codex-cli", index_of(clis=(cli("codex"),)), store()).ids == ("openai-codex:default",)
    assert order_of("codex-cli", index_of(clis=(cli("codex", expires_at=NOW),)), store()).ids == ()


def test_candidates_sort_into_run_order() -> None:
    """Sorted by `order`, candidates stand as a run tries them."""
    key = env_ref("GROQ_API_KEY", is_set=True)
    index = index_of(entry("groq", key), env=("GROQ_API_KEY",))
    view = store(api_key("groq:k"), oauth("groq:o"))
    assert evidence_ids(gather(provider("groq"), index, view, NOW)) == [
        "groq:o",
        "groq:k",
        "env:GROQ_API_KEY",
        "config:groq",
    ]
    first = index_of(entry("groq", key, auth="api-key"), env=("GROQ_API_KEY",))
    assert evidence_ids(gather(provider("groq"), first, view, NOW))[0] == "config:groq"
    aws = index_of(
        entry("amazon-bedrock", auth="aws-sdk"), profiles={"x:aws": ("amazon-bedrock", "aws-sdk")}, env=("AWS_PROFILE",)
    )
    stored = store(api_key("amazon-bedrock:k"))
    assert evidence_ids(gather(provider("bedrock"), aws, stored, NOW)) == ["x:aws", "cloud:aws", "amazon-bedrock:k"]
