"""JSON and legacy stores, and what an agent sees of two of them (formats 3)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import traceback
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.facts import KeyForm, ProfileFacts, ProfileOutline, StoreFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import merge
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId, StoreId

CANARY = "CANARY-5d20"


def reader_of(state: Path, **env: str) -> HomeReader:
    return HomeReader(state, env={"HOME": str(state)} | env, cwd=str(state / "nowhere"))


def put(folder: Path, name: str, content: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def store(state: Path, profiles: object = None, auth_state: object = None, **env: str) -> StoreFacts:
    folder = state / "agents/main/agent"
    if profiles is not None:
        put(folder, "auth-profiles.json", profiles)
    if auth_state is not None:
        put(folder, "auth-state.json", auth_state)
    facts = reader_of(state, **env).read_store(StoreId(str(folder)))
    assert CANARY not in repr(facts)
    assert CANARY.encode() not in msgspec.json.encode(facts)
    return facts


def one(state: Path, entry: object, **env: str) -> ProfileFacts | None:
    facts = store(state, {"profiles": {"x:y": entry}}, **env)
    return facts.profiles[0] if facts.profiles else None


@pytest.mark.parametrize("document", [[], 3, "x", None, {}, {"profiles": []}, {"profiles": None}, {"version": 1}])
def test_valid_json_of_the_wrong_shape_is_no_store(tmp_path: Path, document: object) -> None:
    """It is taken as absent, as OpenClaw does, and a finding says so."""
    folder = tmp_path / "agents/main/agent"
    put(folder, "auth-profiles.json", json.dumps(document).encode())
    facts = store(tmp_path)
    assert (facts.kind, facts.profiles) == ("none", ())
    assert [finding.code for finding in facts.findings] == ["invalid-store"]


@pytest.mark.parametrize(
    ("data", "problem", "place"),
    [
        (b"", "empty", ""),
        (b" \n", "empty", ""),
        (b'{"profiles":{"a":{"key":"' + CANARY.encode(), "not valid JSON", ""),
        (b'{\n"profiles": x}', "not valid JSON", "line 2, column 13"),
        (b'{"profiles":{},}', "not valid JSON", "line 1, column 16"),
    ],
)
@pytest.mark.parametrize("name", ["auth-profiles.json", "auth-state.json"])
def test_a_torn_or_broken_file_is_unreadable(tmp_path: Path, name: str, data: bytes, problem: str, place: str) -> None:
    """The error names file, place and remedy and holds no content, not even in the frames that it came through."""
    folder = tmp_path / "agents/main/agent"
    put(folder, "auth-profiles.json", {"profiles": {}})
    put(folder, name, data)
    reader = reader_of(tmp_path)
    with pytest.raises(StoreUnreadableError) as raised:
        reader.read_store(StoreId(str(folder)))
    error = raised.value
    assert error.path == str(folder / name)
    assert problem in error.problem
    assert error.place == place
    assert error.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert not any(CANARY in repr(frame.f_locals) for frame in frames[1:])
    assert CANARY not in str(error)
    tolerated = reader.read_store(StoreId(str(folder)), tolerant=True)
    assert [finding.code for finding in tolerated.findings] == ["invalid-json"]


def test_a_directory_or_fifo_is_unreadable(tmp_path: Path) -> None:
    """It neither hangs nor counts as absent."""
    folder = tmp_path / "agents/main/agent"
    (folder / "auth-profiles.json").mkdir(parents=True)
    with pytest.raises(StoreUnreadableError, match="directory"):
        store(tmp_path)
    (folder / "auth-profiles.json").rmdir()
    os.mkfifo(folder / "auth-profiles.json")
    with pytest.raises(StoreUnreadableError, match="not a regular file"):
        store(tmp_path)


def test_bad_entries_are_dropped_alone_and_named_once(tmp_path: Path) -> None:
    """One finding lists ids and reasons, never values; the good entries stay."""
    entries = b"""{"profiles": {"good": {"type": "api_key", "provider": "Z.AI", "key": "k"}, "a": 3, "b": null, "c": [],
      "d": {"type": "weird", "provider": "x", "key": "%b"}, "e": {"provider": "x"},
      "f": {"type": "token", "provider": " "},
      "g": {"type": "oauth", "provider": 3}, "h": {"type": "api_key", "provider": "x", "key": "\xff"},
      "i": {"type": ["api_key"], "provider": "x"}}}""" % CANARY.encode()
    facts = store(tmp_path, entries)
    assert [(profile.id, profile.provider) for profile in facts.profiles] == [("good", "zai")]
    (finding,) = facts.findings
    assert finding.code == "dropped-profiles"
    reasons = "a (non_object), b (non_object), c (non_object), d (invalid_type), e (invalid_type), f (missing_provider)"
    assert reasons in finding.problem
    assert "h (undecodable)" in finding.problem


def test_older_spellings_of_fields_are_accepted(tmp_path: Path) -> None:
    """`mode` stands in for a missing type, `apiKey` for a missing key; unknown fields and versions don't matter."""
    profile = one(tmp_path, {"mode": "api_key", "provider": "moonshotai", "apiKey": CANARY, "zzz": [1]})
    assert profile is not None
    assert (profile.kind, profile.provider, profile.key.form) == ("api_key", "moonshot", KeyForm.LITERAL)
    both = one(tmp_path, {"type": "token", "mode": "api_key", "provider": "x", "token": "t", "key": "k"})
    assert both is not None
    assert both.kind == "token"


def test_the_last_of_equal_ids_wins_in_the_place_of_the_first(tmp_path: Path) -> None:
    """As a JavaScript object would have it."""
    text = b"""{"profiles": {"a": {"type":"token","provider":"p"}, "b": {"type":"token","provider":"p"},
                             "a": {"type":"api_key","provider":"q"}}}"""
    assert [(profile.id, profile.kind) for profile in store(tmp_path, text).profiles] == [
        ("a", "api_key"),
        ("b", "token"),
    ]


@pytest.mark.parametrize(
    ("entry", "form", "resolved"),
    [
        ({"key": CANARY}, KeyForm.LITERAL, True),
        ({}, KeyForm.ABSENT, False),
        ({"key": " "}, KeyForm.BLANK, False),
        ({"key": 3}, KeyForm.ABSENT, False),
        ({"key": {"no": "ref"}}, KeyForm.ABSENT, False),
        ({"key": {"source": "env", "id": "SET_KEY"}}, KeyForm.ENV_REF, True),
        ({"keyRef": {"source": "env", "provider": "default", "id": "SET_KEY"}}, KeyForm.ENV_REF, True),
        ({"key": CANARY, "keyRef": {"source": "file", "id": "/x"}}, KeyForm.FILE_REF, False),
        ({"key": CANARY, "keyRef": {"bad": 1}}, KeyForm.LITERAL, True),
        ({"key": "${SET_KEY}"}, KeyForm.ENV_REF, True),
        ({"key": "OPENAI_API_KEY"}, KeyForm.LITERAL, True),
    ],
)
def test_a_stored_key_is_a_reference_first(
    tmp_path: Path, entry: dict[str, object], form: KeyForm, resolved: bool
) -> None:
    """A valid keyRef, then a reference in the key's place, then text; what is neither is no key."""
    profile = one(tmp_path, {"type": "api_key", "provider": "p"} | entry, SET_KEY=CANARY)
    assert profile is not None
    assert (profile.key.form, profile.key.resolved) == (form, resolved)
    assert (profile.digest is not None, profile.key.digest) == (resolved, None)
    token = one(
        tmp_path, {"type": "token", "provider": "p", "token": CANARY, "tokenRef": {"source": "exec", "id": "a"}}
    )
    assert token is not None
    assert token.key.form is KeyForm.EXEC_REF


@pytest.mark.parametrize(
    ("expires", "stored"),
    [(5, 5.0), (1.5, 1.5), (0, 0.0), (-1, 0.0), ("5", 0.0), (None, 0.0), (True, 0.0), ([], 0.0), (10**400, 0.0)],
)
def test_an_expiry_is_a_positive_number_or_zero(tmp_path: Path, expires: object, stored: float) -> None:
    """Absent stays absent; what is no date is 0."""
    profile = one(tmp_path, {"type": "token", "provider": "p", "token": "t", "expires": expires})
    assert profile is None or profile.expires_ms == stored
    bare = one(tmp_path, {"type": "token", "provider": "p", "token": "t"})
    assert bare is not None
    assert bare.expires_ms is None


def test_oauth_says_what_it_holds(tmp_path: Path) -> None:
    """Access, refresh, sidecar; one digest of all secrets together; account and e-mail as digests."""
    whole = {
        "type": "oauth",
        "provider": "openai-codex",
        "access": CANARY,
        "refresh": CANARY,
        "accountId": CANARY,
        "email": "A@B",
    }
    profile = one(tmp_path, whole)
    assert profile is not None
    assert (profile.has_access, profile.has_refresh, profile.has_sidecar) == (True, True, False)
    assert None not in (profile.digest, profile.account, profile.email_digest)
    sidecar = one(tmp_path, {"type": "oauth", "provider": "openai-codex", "oauthRef": {"id": "0" * 32}})
    assert sidecar is not None
    assert (sidecar.has_access, sidecar.has_sidecar) == (False, True)
    empty = one(tmp_path, {"type": "oauth", "provider": "p", "access": " "})
    assert empty is not None
    assert (empty.has_access, empty.digest) == (False, None)


def test_the_state_file_overrides_state_inside_the_profiles_key_by_key(tmp_path: Path) -> None:
    """Per provider and per profile id; empty lists and wrong types are dropped; providers are normalised."""
    inner = {
        "profiles": {},
        "order": {"a": ["1"], "b": ["2"], "bad": 3},
        "lastGood": {"a": "1"},
        "usageStats": {"a:1": {"errorCount": 1}, "b:1": {"errorCount": 2}},
    }
    outer = {
        "order": {"B": [" 3 ", 4], "Z.AI": []},
        "lastGood": {"z.ai": "z", "x": 3},
        "usageStats": {"a:1": {"cooldownUntil": 1e300, "errorCount": "x"}, "c": {}, "d": 3},
    }
    facts = store(tmp_path, inner, outer)
    assert dict(facts.order) == {"a": ("1",), "b": ("3",)}
    assert dict(facts.last_good) == {"a": "1", "zai": "z"}
    usage = dict(facts.usage)
    assert set(usage) == {"a:1", "b:1"}
    assert usage["a:1"].error_count is None
    assert (usage["a:1"].cooldown_until or 0) > 10**18
    assert facts.kind == "json"


def test_each_half_follows_its_part_of_the_store_only(tmp_path: Path) -> None:
    """White space, unknown fields and key order move neither; usage moves the windows; a key moves the credentials."""
    reader = reader_of(tmp_path)
    folder = tmp_path / "agents/main/agent"

    def halves(profiles: object, auth_state: object) -> tuple[object, object]:
        put(folder, "auth-profiles.json", profiles)
        put(folder, "auth-state.json", auth_state)
        facts = reader.read_store(StoreId(str(folder)))
        return facts.credentials, facts.windows

    first = halves(
        {"profiles": {"a": {"type": "api_key", "provider": "p", "key": "k"}}}, {"order": {"a": ["1"], "b": ["2"]}}
    )
    text = b'{ "version":7,\n"profiles":{"a":{"z":1,"key":"k","provider":"P","type":"api_key"}}}'
    assert halves(text, {"order": {"b": ["2"], "a": ["1"]}, "x": 1}) == first
    ticked = halves(text, {"order": {"a": ["1"], "b": ["2"]}, "usageStats": {"a": {"lastUsed": 5}}})
    assert ticked[0] == first[0]
    assert ticked[1] != first[1]
    changed = halves(text.replace(b'"k"', b'"k2"'), {"order": {"a": ["1"], "b": ["2"]}})
    assert changed[0] != first[0]
    assert changed[1] == first[1]


def test_a_legacy_oauth_entry_may_name_its_own_provider_and_type(tmp_path: Path) -> None:
    """What an entry of oauth.json says of itself wins over its key; an unknown type is oauth."""
    entries = {
        "codex": {"access": "a", "provider": "groq"},
        "mine": {"type": "api_key", "provider": "Z.AI", "key": "k"},
        "odd": {"type": "weird", "access": "a"},
    }
    put(tmp_path / "credentials", "oauth.json", entries)
    facts = reader_of(tmp_path).read_store(StoreId(str(tmp_path / "agents/main/agent")))
    assert [(profile.id, profile.provider, profile.kind) for profile in facts.profiles] == [
        ("codex:default", "groq", "oauth"),
        ("mine:default", "zai", "api_key"),
        ("odd:default", "odd", "oauth"),
    ]


def test_legacy_files_are_read_in_place_for_every_agent(tmp_path: Path) -> None:
    """auth.json of the dir, then oauth.json of the home unless the id exists; nothing is written."""
    folder = tmp_path / "agents/ops/agent"
    put(
        folder,
        "auth.json",
        {
            "openai": {"type": "api_key", "provider": "openai", "key": CANARY},
            "anthropic": {"type": "oauth", "access": "a"},
            "groq": {"type": "api_key", "provider": "groq", "key": CANARY},
        },
    )
    login = {"access": CANARY, "refresh": CANARY, "expires": 5}
    put(tmp_path / "credentials", "oauth.json", {"github-copilot": login, "groq": login, "odd": 3})
    before = tree(tmp_path)
    facts = reader_of(tmp_path).read_store(StoreId(str(folder)))
    assert facts.kind == "legacy"
    assert [(profile.id, profile.kind) for profile in facts.profiles] == [
        ("openai:default", "api_key"),
        ("groq:default", "api_key"),
        ("github-copilot:default", "oauth"),
    ]
    assert str(tmp_path / "credentials/oauth.json") in facts.depends_on
    assert [finding.code for finding in facts.findings] == ["dropped-profiles"]
    other = reader_of(tmp_path).read_store(StoreId(str(tmp_path / "agents/none/agent")))
    assert [profile.id for profile in other.profiles] == ["github-copilot:default", "groq:default"]
    put(folder, "auth-profiles.json", {"profiles": {}})
    assert reader_of(tmp_path).read_store(StoreId(str(folder))).profiles == ()
    (folder / "auth-profiles.json").unlink()
    assert tree(tmp_path) == before


def test_a_broken_legacy_file_is_a_finding(tmp_path: Path) -> None:
    """It is a left-over and sinks nothing; a file with `profiles` is no legacy file."""
    folder = tmp_path / "agents/main/agent"
    put(folder, "auth.json", b"{")
    put(tmp_path / "credentials", "oauth.json", b"[]")
    facts = store(tmp_path)
    assert (facts.kind, [finding.code for finding in facts.findings]) == ("none", ["invalid-json"])
    put(folder, "auth.json", {"profiles": {}, "x": {"type": "api_key", "provider": "x"}})
    assert store(tmp_path).profiles == ()


@given(
    profiles=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "profiles",
                        "type",
                        "provider",
                        "key",
                        "keyRef",
                        "expires",
                        "oauthRef",
                        "access",
                        "order",
                        "lastGood",
                        "usageStats",
                        "a",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=15,
    ),
    auth_state=st.binary(max_size=30),
)
def test_any_bytes_give_facts_or_an_unreadable_store(
    tmp_path_factory: pytest.TempPathFactory, profiles: object, auth_state: bytes
) -> None:
    """No other exception leaves a store, and a tolerant reading never raises."""
    folder = tmp_path_factory.mktemp("s")
    put(folder, "auth-profiles.json", profiles if isinstance(profiles, bytes) else msgspec.json.encode(profiles))
    put(folder, "auth-state.json", auth_state)
    reader = reader_of(folder)
    with contextlib.suppress(StoreUnreadableError):
        reader.read_store(StoreId(str(folder)))
    reader.read_store(StoreId(str(folder)), tolerant=True)


def tree(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "dir",
            path.stat().st_mode,
        )
        for path in sorted(root.rglob("*"))
    }


# --- what an agent sees of two stores ---------------------------------------------------------------------------------


def oauth(profile_id: str, expires: float | None, provider: str = "p", **fields: object) -> ProfileFacts:
    outline = ProfileOutline(profile_id, ProviderId(provider), "oauth", expires_ms=expires, has_access=True)
    return ProfileFacts(outline, **{"digest": profile_id.encode(), **fields})  # type: ignore[arg-type]


def key(profile_id: str, digest: bytes | None = None) -> ProfileFacts:
    return ProfileFacts(ProfileOutline(profile_id, ProviderId("p"), "api_key"), digest)


def side(name: str, *profiles: ProfileFacts, **fields: object) -> StoreFacts:
    return StoreFacts(StoreId(name), "json", profiles, **fields)  # type: ignore[arg-type]


def test_one_store_alone_is_seen_as_it_is() -> None:
    """The same store, a store without the other, an empty own store over main, and none at all."""
    main, own = side("m", oauth("a", 1)), side("o", oauth("b", 1))
    assert merge(main, side("m", oauth("a", 1))).owners == ("m",)
    assert merge(None, own).owners == ("o",)
    assert merge(main, None, unread="why").owners == ("m",)
    assert merge(main, None, unread="why").unread == "why"
    assert merge(main, side("o")).profiles == main.profiles
    assert merge(None, None, unread="x").unread == "x"


def test_two_stores_are_united_key_by_key_with_the_own_one_winning() -> None:
    """Inherited keys come first; own values win in place."""
    own_key = key("a", b"own")
    main = side(
        "m",
        key("a"),
        oauth("b", 1),
        order=(("p", ("a",)),),
        usage=(("a", Windows(1)),),
    )
    own = side(
        "o",
        oauth("c", 1),
        own_key,
        order=(("p", ("c",)), ("q", ("x",))),
        usage=(("a", Windows(2)),),
        last_good=(("p", "c"),),
    )
    view = merge(main, own)
    assert [profile.id for profile in view.profiles] == ["a", "b", "c"]
    assert view.owners == ("o", "m", "o")
    assert view.profiles[0].digest == b"own"
    assert dict(view.order) == {"p": ("c",), "q": ("x",)}
    assert dict(view.usage) == {"a": Windows(2)}
    assert dict(view.last_good) == {"p": "c"}


def test_use_of_a_shadowed_profile_is_not_held_against_the_own_one() -> None:
    """Main's windows concern main's secret: an agent with its own profile of that name doesn't see them."""
    main = side(
        "m",
        oauth("a", 1),
        oauth("b", 1),
        usage=(("a", Windows(1)), ("b", Windows(2)), ("inline-api-key:p", Windows(3))),
    )
    own = side("o", key("a", b"own"))
    assert dict(merge(main, own).usage) == {"b": Windows(2), "inline-api-key:p": Windows(3)}


def test_use_of_a_profile_that_is_gone_is_not_held_against_the_inherited_one() -> None:
    """What an agent's own state says of a name that only main has concerns a secret that is gone."""
    own = side("o", oauth("b", 1), usage=(("a", Windows(1)), ("b", Windows(2))))
    assert dict(merge(side("m", oauth("a", 1), usage=(("a", Windows(3)),)), own).usage) == {
        "a": Windows(3),
        "b": Windows(2),
    }


@pytest.mark.parametrize(
    ("own", "inherited", "taken"),
    [
        ({}, [("p:new", 9, {})], "p:new"),
        ({}, [("p:new", 3, {})], None),
        ({}, [("p:new", 9, {}), ("p:two", 8, {})], None),
        ({"account": b"1"}, [("p:new", 9, {"account": b"1"}), ("p:two", 8, {"account": b"1"})], "p:new"),
        ({"account": b"1"}, [("p:new", 9, {"account": b"2"})], None),
        ({"email_digest": b"e"}, [("p:new", 9, {"email_digest": b"e"})], "p:new"),
        ({"account": b"1", "email_digest": b"e"}, [("p:new", 9, {"account": b"2", "email_digest": b"e"})], None),
        ({"account": b"1"}, [("p:new", 9, {})], "p:new"),
        ({}, [("p:default", 9, {})], "p:default"),
    ],
)
def test_a_default_login_gives_way_to_a_newer_inherited_one_of_the_same_person(
    own: dict[str, object], inherited: list[tuple[str, float, dict[str, object]]], taken: str | None
) -> None:
    """Account first, then e-mail; without either only a sole candidate; references follow and old usage goes."""
    main = side("m", *(oauth(name, expires, **fields) for name, expires, fields in inherited))
    mine = side(
        "o",
        oauth("p:default", 5, **own),
        order=(("p", ("p:default",)),),
        last_good=(("p", "p:default"),),
        usage=(("p:default", Windows(1)),),
    )
    view = merge(main, mine)
    owners = dict(zip((profile.id for profile in view.profiles), view.owners, strict=True))
    assert dict(view.last_good) == {"p": taken or "p:default"}
    assert dict(view.order) == {"p": (taken or "p:default",)}
    assert owners[taken or "p:default"] == ("m" if taken else "o")
    assert bool(view.usage) == (taken is None)


def test_the_own_profile_with_the_inherited_ones_id_stays_unless_it_is_an_older_login() -> None:
    """A repair takes an inherited login in, but puts it over an own profile only if that is an older login."""
    main = side("m", oauth("p:me", 9))
    rivals = (
        (oauth("p:me", 5), ("m",)),
        (oauth("p:me", 12), ("o",)),
        (key("p:me"), ("o",)),
    )
    for rival, owners in rivals:
        view = merge(main, side("o", oauth("p:default", 1), rival))
        assert ([profile.id for profile in view.profiles], view.owners) == (["p:me"], owners)


def test_an_inherited_login_that_is_over_repairs_nothing() -> None:
    """With the present known, "usable" means five minutes of life."""
    main, own = side("m", oauth("p:new", 400_000)), side("o", oauth("p:default", 5))
    assert "p:default" not in {profile.id for profile in merge(main, own, now_ms=0.0).profiles}
    assert "p:default" in {profile.id for profile in merge(main, own, now_ms=200_000.0).profiles}


def test_a_refused_codex_login_gives_way_to_the_inherited_choice() -> None:
    """Only if the own order or last good names it; the inherited order, then last good, then the only one."""
    codex = ProviderId("openai-codex")
    refused = (("c:mine", Windows(disabled_reason="auth_permanent")),)
    main = side("m", oauth("c:1", 9, codex), oauth("c:2", 9, codex), order=((codex, ("c:2",)),))
    named = side("o", oauth("c:mine", 99, codex), usage=refused, last_good=((codex, "c:mine"),))
    assert dict(merge(main, named).last_good) == {codex: "c:2"}
    assert "c:mine" not in {profile.id for profile in merge(main, named).profiles}
    unnamed = side("o", oauth("c:mine", 99, codex), usage=refused)
    assert "c:mine" in {profile.id for profile in merge(main, unnamed).profiles}
    unordered = side("m", *main.profiles)
    assert "c:mine" in {profile.id for profile in merge(unordered, named).profiles}
