"""Secret files: what is taken from them, under which conditions, and what nobody gets to see (formats 1.3)."""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import threading
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from openclaw_actors.auth.check import check
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.auth.verdict import Cell
from openclaw_actors.errors import ConfigError
from openclaw_actors.home import reader as reader_module
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import HomeFacts, KeyFacts, KeyForm
from openclaw_actors.home.judged import NO_SECRET, Judgement, Tree, digest_of, follow, judged
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import merge
from openclaw_actors.ids import ProviderId, StoreId

CANARY = "canary-secret-file"
CANARY_NAME = "CANARY_IN_A_FILE"
DIGESTER = Digester(b"k" * 32)
POINTER = "/p/key"
DOCUMENT = json.dumps({"p": {"key": f"{CANARY}-1"}, "other": f"{CANARY}-2"})


class Disk:
    """A home whose config declares one secret file and refers to it from the provider `p`."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.file = folder / "vault"
        self.declared: dict[str, object] = {"source": "file", "path": str(self.file)}
        self.reference: dict[str, object] = {"source": "file", "provider": "vault", "id": POINTER}
        self.more: dict[str, object] = {}
        self.env: dict[str, str] = {"HOME": str(folder)}
        self._reader: HomeReader | None = None

    @property
    def reader(self) -> HomeReader:
        """The one reader of this home."""
        if self._reader is None:
            self._reader = HomeReader(self.state, env=self.env, digester=DIGESTER, cwd=str(self.state))
        return self._reader

    def write(self, content: str | bytes, mode: int = 0o600) -> None:
        """Write the secret file in place."""
        self.file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.file.chmod(mode)

    def home(self) -> HomeFacts:
        """Write the config and read it."""
        providers: dict[str, object] = {"p": {"baseUrl": "https://p.test/v1", "apiKey": self.reference}, **self.more}
        config = {"secrets": {"providers": {"vault": self.declared}}, "models": {"providers": providers}}
        (self.state / "openclaw.json").write_text(json.dumps(config))
        return self.reader.read_home()

    def key(self) -> KeyFacts:
        """Return the facts of the provider's key."""
        return self.home().config.providers[0].key

    def cell(self, name: str = "p") -> Cell:
        """Check a provider of the one agent."""
        facts = self.home()
        store = self.reader.read_store(StoreId(str(self.state / "agents" / "main" / "agent")))
        index = SharedIndex(SharedFacts(facts))
        return check(ProviderId(name), index, merge(store, store, now_ms=1e12), {}, 1e9)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """Return a home whose secret file is there and sound."""
    found = Disk(tmp_path)
    found.write(DOCUMENT)
    return found


# ------------------------------------------------------------------------------------------------------- what it yields


def test_a_file_reference_yields_what_the_pointer_leads_to(disk: Disk) -> None:
    """The key is resolved, names its reference, and has the digest that the secret has anywhere."""
    key = disk.key()
    assert (key.form, key.name, key.resolved) == (KeyForm.FILE_REF, "file:vault:/p/key", True)
    assert (key.digest, key.problem) == (DIGESTER(f"{CANARY}-1"), "")
    cell = disk.cell()
    assert (cell.state, cell.presence) == ("usable", True)
    assert "file:vault:/p/key" in cell.reason


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/a/0", "first"),
        ("/a/1x", "second"),
        ("/a/ 1", "second"),
        ("/a/+1", "second"),
        ("/a/2", None),
        ("/a/-1", None),
        ("/a/x", None),
        ("/b~1c", "slash"),
        ("/d~0e", "tilde"),
        ("/f~01", "both"),
        ("/", "empty"),
        ("/__proto__", "own"),
        ("/number", None),
        ("/null", None),
        ("/blank", None),
        ("/object", None),
        ("/text/deeper", None),
        ("value", None),
    ],
)
def test_a_pointer_is_followed_as_openclaw_follows_it(disk: Disk, pointer: str, found: str | None) -> None:
    """Escapes, array indexes by the number that they begin with; only a text that isn't blank is a secret."""
    document = {
        "a": ["first", "second"],
        "b/c": "slash",
        "d~e": "tilde",
        "f~1": "both",
        "": "empty",
        "__proto__": "own",
        "number": 3,
        "null": None,
        "blank": " \n",
        "object": {"x": "y"},
        "text": "t",
    }
    disk.write(json.dumps(document))
    disk.reference = {"source": "file", "provider": "vault", "id": pointer}
    key = disk.key()
    assert key.digest == (None if found is None else DIGESTER(found))
    assert bool(key.problem) is (found is None)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("sk-1", "sk-1"),
        ("sk-1\n", "sk-1"),
        ("sk-1\r\n", "sk-1"),
        ("\ufeffsk-1\n", "sk-1"),
        ("  sk-1\t\n", "sk-1"),
        ("", None),
        (" \n\n", None),
    ],
)
def test_a_single_value_is_the_whole_file(disk: Disk, content: str, found: str | None) -> None:
    """Without byte order mark and line end, and trimmed where it is used; nothing in it is no secret."""
    disk.declared |= {"mode": "singleValue"}
    disk.reference = {"source": "file", "provider": "vault", "id": "value"}
    disk.write(content)
    assert disk.key().digest == (None if found is None else DIGESTER(found))


def test_a_single_value_has_one_id(disk: Disk) -> None:
    """A pointer into a file that is one secret leads nowhere."""
    disk.declared |= {"mode": "singleValue"}
    key = disk.key()
    assert not key.resolved
    assert "`value`" in key.problem


def test_a_reference_without_provider_means_the_default_alias(disk: Disk) -> None:
    """`secrets.defaults.file` isn't given, so it is `default`, which nobody declares here."""
    disk.reference = {"source": "file", "id": POINTER}
    key = disk.key()
    assert (key.name, key.problem) == ("file:default:/p/key", "the secrets provider default is not declared")


def test_an_id_of_no_valid_form_is_not_repeated(disk: Disk) -> None:
    """It may be a secret that was pasted into the wrong place."""
    disk.reference = {"source": "file", "provider": "vault", "id": f"{CANARY}-pasted"}
    key = disk.key()
    assert (key.form, key.name, key.resolved) == (KeyForm.FILE_REF, "", False)
    assert CANARY not in repr(key)


def test_a_reference_to_a_provider_of_another_source_yields_nothing(disk: Disk) -> None:
    """An alias with source `env` has no file."""
    disk.declared = {"source": "env"}
    assert disk.key().problem == "the secrets provider vault is not a file provider"


@pytest.mark.parametrize(
    ("text", "form", "resolved"),
    [
        ("ollama-local", KeyForm.MARKER, False),
        ("GROQ_API_KEY", KeyForm.ENV_NAME, False),
        ("OPENAI_API_KEY", KeyForm.ENV_NAME, True),
        ("${OPENAI_API_KEY}", KeyForm.FILE_REF, True),
        ("$CANARY_SECRET", KeyForm.FILE_REF, False),
        ("ключ", KeyForm.FILE_REF, False),
    ],
)
def test_what_a_file_yields_is_read_like_any_key(disk: Disk, text: str, form: KeyForm, resolved: bool) -> None:
    """Activation puts the text in the reference's place; a variable that it names by `$` is not shown, it may be the
    secret itself.
    """
    disk.env["OPENAI_API_KEY"] = "o"
    disk.write(json.dumps({"p": {"key": text}}))
    key = disk.key()
    assert (key.form, key.resolved) == (form, resolved)
    assert "CANARY_SECRET" not in repr(disk.home())


# ----------------------------------------------------------------------------------------------------- what is refused


def assert_unresolved(disk: Disk, says: str) -> None:
    """The config is valid all the same, the file is named, and what is wrong with it."""
    cell, facts = disk.cell(), disk.home()
    key = facts.config.providers[0].key
    assert (key.form, key.resolved, key.digest) == (KeyForm.FILE_REF, False, None)
    assert str(disk.file) in key.problem
    assert says in key.problem
    assert (cell.state, cell.presence) == ("unresolved", False)
    assert says in cell.reason
    (finding,) = (one for one in facts.config.findings if one.place == "secrets.providers.vault")
    assert finding.path == str(disk.file)
    assert finding.remedy
    assert CANARY not in repr(facts) + repr(cell)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o644, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(disk: Disk, mode: int) -> None:
    """The mode is said, and `allowInsecurePath` waives it."""
    disk.write(DOCUMENT, mode)
    assert_unresolved(disk, f"mode {mode:o}")
    disk.declared |= {"allowInsecurePath": True}
    assert disk.key().resolved


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700, 0o711])
def test_a_file_that_only_its_owner_may_read_is_taken(disk: Disk, mode: int) -> None:
    """Who may execute it doesn't matter."""
    disk.write(DOCUMENT, mode)
    assert disk.key().resolved


def test_a_file_of_another_user_is_refused(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to belong to the user of this process, unless `allowInsecurePath` says otherwise."""
    monkeypatch.setattr("openclaw_actors.home.secret_files.os.getuid", lambda: disk.file.stat().st_uid + 1)
    assert_unresolved(disk, "another user")
    disk.declared |= {"allowInsecurePath": True}
    assert disk.key().resolved


@pytest.mark.parametrize("insecure", [False, True])
def test_a_symbolic_link_is_refused(disk: Disk, insecure: bool) -> None:
    """Whether or not insecure paths are allowed; both the link and its target are watched."""
    target = disk.file.with_name("target")
    disk.file.rename(target)
    disk.file.symlink_to(target)
    disk.declared |= {"allowInsecurePath": insecure}
    assert_unresolved(disk, "symbolic link")
    assert {str(disk.file), str(target)} <= set(disk.home().depends_on)


def test_a_folder_on_the_way_may_be_a_symbolic_link(disk: Disk, tmp_path: Path) -> None:
    """Both ways to the file are watched."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    disk.file = tmp_path / "folder" / "vault"
    disk.declared["path"] = str(disk.file)
    disk.write(DOCUMENT)
    assert disk.key().resolved
    assert {str(disk.file), str(tmp_path / "real" / "vault")} <= set(disk.home().depends_on)


def test_a_file_that_is_not_there_is_watched(disk: Disk) -> None:
    """Missing is no error of the config, and its path is among those that the reading depends on."""
    disk.file.unlink()
    assert_unresolved(disk, "it is not there")
    assert str(disk.file) in disk.home().depends_on


def test_only_a_regular_file_is_read(disk: Disk) -> None:
    """A FIFO doesn't hang the reading, and a folder is none."""
    disk.file.unlink()
    os.mkfifo(disk.file, 0o600)
    assert_unresolved(disk, "not a regular file")
    disk.file.unlink()
    disk.file.mkdir()
    assert_unresolved(disk, "it is a directory")


@pytest.mark.parametrize(("limit", "resolved"), [(len(DOCUMENT) - 1, False), (len(DOCUMENT), True), (1 << 40, True)])
def test_a_file_may_be_as_large_as_declared(disk: Disk, limit: int, resolved: bool) -> None:
    """`maxBytes` is inclusive; what can't be a limit is none."""
    disk.declared |= {"maxBytes": limit}
    assert disk.key().resolved is resolved
    if not resolved:
        assert_unresolved(disk, "larger than")


@pytest.mark.parametrize(
    ("change", "says"),
    [({"path": " "}, "`path` is missing"), ({"path": 3}, "`path` is missing"), ({"mode": "yaml"}, "`mode` is neither")],
)
def test_a_declaration_that_makes_no_sense_is_said(disk: Disk, change: dict[str, object], says: str) -> None:
    """The references are unresolved and say which declaration is to be mended."""
    disk.declared |= change
    assert says in disk.key().problem


def test_the_path_begins_where_openclaw_begins_it(disk: Disk) -> None:
    """`~` is the home, and variables are replaced before."""
    disk.declared["path"] = " ~/${NAME} "
    disk.env["NAME"] = "vault"
    assert disk.key().resolved


@pytest.mark.parametrize("document", ["[]", '"text"', "null", "3"])
def test_a_file_of_secrets_holds_an_object(disk: Disk, document: str) -> None:
    """Valid JSON of another kind says definitely that there is nothing, even after a good reading."""
    assert disk.key().resolved
    disk.write(document)
    assert_unresolved(disk, "not a JSON object")


# ------------------------------------------------------------------------------------------------------ torn and broken

TORN = {
    "cut": DOCUMENT[:-3],
    "begun": DOCUMENT[:1],
    "empty": "",
    "blank": " \n",
    "no-json-constant": '{"p": NaN}',
    "no-json-quotes": "{'p': 1}",
    "deep": '{"a":' * 5000,
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN)
def test_a_torn_file_has_nothing_at_first(disk: Disk, content: str) -> None:
    """There is no good reading to keep."""
    disk.write(content)
    assert_unresolved(disk, "it is empty" if not content.strip() else "not valid JSON")


@pytest.mark.parametrize("content", TORN.values(), ids=TORN)
def test_a_torn_file_keeps_what_it_held(disk: Disk, content: str) -> None:
    """References go on to yield the last good secret, and a finding says so; torn twice changes nothing."""
    good = disk.home().config
    for _ in range(2):
        disk.write(content)
        torn = disk.home().config
        assert torn.providers == good.providers
        assert torn.secrets_digest == good.secrets_digest
        (finding,) = torn.findings
        assert (finding.path, finding.code) == (str(disk.file), "torn-secret-file")
        assert "still counts" in finding.problem
        assert CANARY not in repr(finding)
    disk.write(DOCUMENT)
    assert disk.home().config == good


def test_an_empty_single_value_is_torn(disk: Disk) -> None:
    """That is what a writer in place makes of it first."""
    disk.declared |= {"mode": "singleValue"}
    disk.reference = {"source": "file", "provider": "vault", "id": "value"}
    disk.write(CANARY)
    good = disk.key()
    disk.write("")
    assert disk.key() == good


def test_a_file_that_is_gone_or_refused_loses_what_it_held(disk: Disk) -> None:
    """Only what looks half written is waited for; afterwards nothing old comes back."""
    assert disk.key().resolved
    disk.write(DOCUMENT[:-3], 0o644)
    assert not disk.key().resolved
    disk.file.chmod(0o600)
    assert not disk.key().resolved
    disk.write(DOCUMENT)
    assert disk.key().resolved
    disk.file.unlink()
    assert not disk.key().resolved
    disk.write(DOCUMENT[:-3])
    assert not disk.key().resolved


def test_another_file_keeps_nothing_of_the_first(disk: Disk) -> None:
    """What is kept belongs to a path and a mode, not to an alias."""
    assert disk.key().resolved
    disk.file = disk.file.with_name("second")
    disk.declared["path"] = str(disk.file)
    disk.write("{")
    assert not disk.key().resolved


def test_a_broken_config_keeps_the_secrets_that_were_read(disk: Disk) -> None:
    """Stores go on to resolve by the last good config and its files."""
    disk.home()
    entry = {"type": "api_key", "provider": "zai", "keyRef": disk.reference}
    store = StoreId(str(disk.state / "s"))
    document = json.dumps({"profiles": {"zai:a": entry}}).encode()
    before = disk.reader.decode_store(store, document)
    assert before.profiles[0].digest == DIGESTER(f"{CANARY}-1")
    (disk.state / "openclaw.json").write_text("{")
    with pytest.raises(ConfigError):
        disk.reader.read_home()
    assert disk.reader.decode_store(store, document) == before


# ------------------------------------------------------------------------------------------------- stores and comparing


def test_a_stored_reference_resolves_by_the_file(disk: Disk) -> None:
    """keyRef and tokenRef alike; a token says so. Profiles are present in any case."""
    agent = disk.state / "agents" / "main" / "agent"
    agent.mkdir(parents=True)
    entries = {
        "zai:a": {"type": "api_key", "provider": "zai", "keyRef": disk.reference},
        "groq:a": {"type": "token", "provider": "groq", "tokenRef": {**disk.reference, "id": "/other"}},
        "xai:a": {"type": "api_key", "provider": "xai", "key": {**disk.reference, "id": "/nowhere"}},
    }
    (agent / "auth-profiles.json").write_text(json.dumps({"version": 1, "profiles": entries}))
    assert [(disk.cell(name).state, disk.cell(name).presence) for name in ("zai", "groq", "xai")] == [
        ("usable", True),
        ("usable", True),
        ("unresolved", True),
    ]
    assert "token in profile groq:a, from reference file:vault:/other" in disk.cell("groq").reason


def test_the_secrets_digest_follows_what_the_files_hold(disk: Disk) -> None:
    """Another secret, or another reason for none, moves it; white space and key order don't."""
    digests = [disk.home().config.secrets_digest]
    disk.write(json.dumps({"other": f"{CANARY}-2", "p": {"key": f"{CANARY}-1"}}, indent=4))
    assert disk.home().config.secrets_digest == digests[0]
    for content, mode in ((DOCUMENT.replace("-2", "-3"), 0o600), (DOCUMENT, 0o644), ("[]", 0o600)):
        disk.write(content, mode)
        digests.append(disk.home().config.secrets_digest)
    disk.file.unlink()
    digests.append(disk.home().config.secrets_digest)
    assert len(set(digests)) == len(digests)


def test_a_file_that_no_config_declares_is_not_read(disk: Disk) -> None:
    """A reference alone opens nothing."""
    disk.declared = {"source": "exec", "command": "/bin/true"}
    assert not disk.key().resolved
    assert str(disk.file) not in disk.home().depends_on


# ------------------------------------------------------------------------------------------------------------- presence


@pytest.mark.parametrize(
    "other",
    [
        {"source": "file", "provider": "vault", "id": "/nowhere"},
        {"source": "file", "provider": "nobody", "id": "/p/key"},
        "${NOT_SET}",
        {"source": "exec", "provider": "nobody", "id": "a"},
        {"source": "exec", "provider": "vault", "id": "a/../b"},
    ],
)
def test_one_reference_that_fails_takes_all_file_references_out_of_presence(disk: Disk, other: object) -> None:
    """OpenClaw's activation is all or nothing (recorded: one failing reference makes all file references false). The
    verdict is about the secret itself and stays.
    """
    disk.more = {"q": {"baseUrl": "https://q.test/v1", "apiKey": other}}
    assert (disk.cell().state, disk.cell().presence) == ("usable", False)
    disk.more = {"q": {"baseUrl": "https://q.test/v1", "apiKey": other, "enabled": False}}
    assert disk.cell().presence


@pytest.mark.parametrize("other", ["GROQ_API_KEY", "ollama-local", "", "sk-1", None])
def test_what_is_no_reference_fails_no_activation(disk: Disk, other: object) -> None:
    """Unset names, markers and blank keys are left alone by it."""
    disk.more = {"q": {"baseUrl": "https://q.test/v1", "apiKey": other}}
    assert disk.cell().presence


# -------------------------------------------------------------------------------------------------------------- secrecy


def test_no_secret_of_a_file_is_in_the_facts(disk: Disk) -> None:
    """Neither in their repr nor encoded, good or torn."""
    for content in (DOCUMENT, DOCUMENT[:-3]):
        disk.write(content)
        facts = disk.home()
        assert CANARY not in repr(facts)
        assert CANARY.encode() not in msgspec.msgpack.encode(facts)


def test_what_holds_the_files_shows_no_value(disk: Disk) -> None:
    """Not in repr or str; it isn't pickled and copies to itself; nor does the reader show or pickle it."""
    disk.home()
    files = disk.reader._files
    contents = list(files._contents.values())
    assert CANARY not in f"{files!r}{files}{disk.reader!r}{contents!r}{pretty_repr(contents)}{pretty_repr(disk.reader)}"
    assert copy.copy(files) is copy.deepcopy(files) is files
    for holder in (files, disk.reader):
        with pytest.raises(TypeError):
            pickle.dumps(holder)


def test_no_traceback_holds_the_file(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble after the files were read comes out without the frames that hold them."""

    def broken(*_: object) -> None:
        raise ConfigError(str(disk.file), "it is broken", "Mend it.")

    monkeypatch.setattr("openclaw_actors.home.reader.environment_facts", broken)
    with pytest.raises(ConfigError) as raised:
        disk.home()
    lines = traceback.TracebackException.from_exception(raised.value, capture_locals=True).format()
    assert not [line for line in lines if f"{CANARY}-1" in line]


@pytest.mark.parametrize("mode", ["json", "singleValue"])
def test_no_text_of_a_secret_file_stays_in_memory(disk: Disk, mode: str) -> None:
    """Nothing that is reachable from the reader holds a text of the file, key or value, referred to or not, whole or
    torn; the references resolve all the same.
    """
    secrets = {"p": {"key": f"{CANARY}-1"}, CANARY: [CANARY, f"${{{CANARY_NAME}}}", {"deep": f" {CANARY}\n"}]}
    document = json.dumps(secrets) if mode == "json" else f"{CANARY}-1\n"
    disk.declared["mode"] = mode
    disk.reference["id"] = POINTER if mode == "json" else "value"
    disk.write(document)
    for content in (document, "" if mode == "singleValue" else document[:-3]):
        disk.write(content)
        key = disk.key()
        assert key.digest == DIGESTER(f"{CANARY}-1")
        seen = list(reachable(disk.reader))
        assert any(isinstance(one, Judgement) for one in seen), "the walk isn't blind"
        for one in seen:
            text = one.decode("utf-8", "replace") if isinstance(one, (bytes, bytearray)) else one
            assert not isinstance(text, str) or not (CANARY in text or CANARY_NAME in text)


def reachable(root: object) -> Iterator[object]:
    """Yield all objects that are reachable from one, but for modules, classes and code."""
    foreign = (type, types.ModuleType, types.FrameType, types.CodeType, types.BuiltinFunctionType)
    seen: dict[int, object] = {}
    stack = [root]
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, foreign):
            continue
        seen[id(one)] = one
        yield one
        if isinstance(one, types.FunctionType):
            stack += (one.__closure__, one.__defaults__, one.__kwdefaults__)
        elif isinstance(one, msgspec.Struct):
            stack += (getattr(one, name) for name in one.__struct_fields__)
        else:
            stack += gc.get_referents(one)


# ----------------------------------------------------------------------------------------------------------- judgements


def by_text(text: str) -> Judgement:
    """Judge texts apart."""
    return Judgement(KeyFacts(KeyForm.FILE_REF, digest=DIGESTER(text)), KeyFacts(KeyForm.FILE_REF))


def test_a_judged_document_has_the_structure_of_the_document() -> None:
    """Texts are judged where they stand, blank ones and other values are no secrets, and null is nothing."""
    tree = judged({"a": ["x", " ", None, 1, {"b": "y"}], "t": True}, by_text, DIGESTER)
    found = [follow(tree, pointer, DIGESTER) for pointer in ("/a/0", "/a/1", "/a/2", "/a/3", "/a/4/b", "/t", "/a/5")]
    assert found == [by_text("x"), NO_SECRET, None, NO_SECRET, by_text("y"), NO_SECRET, None]
    assert judged("x", by_text, DIGESTER) == by_text("x")


def test_a_deep_document_is_judged_without_a_deep_stack() -> None:
    """What the parser takes can be judged, followed and digested."""
    document: object = "x"
    for _ in range(20_000):
        document = [document]
    tree = judged(document, by_text, DIGESTER)
    assert follow(tree, "/0" * 20_000, DIGESTER) == by_text("x")
    assert digest_of(tree, DIGESTER)


def test_the_digest_of_a_tree_tells_structures_and_judgements_apart() -> None:
    """Any other place or judgement of a leaf is another digest; the order of keys is none."""
    documents: list[object] = [
        *(
            {"a": "x", "b": "y"},
            {"a": "y", "b": "x"},
            {"a": "x"},
            {"b": "x"},
            {"a": ["x", "y"]},
            {"a": ["x"], "b": "y"},
        ),
        *({"a": {"b": "x"}}, {"a": {}, "b": "x"}, {"a": None}, {"a": 1}, {}, [], ["x"], [["x"]], "x"),
    ]
    digests = [digest_of(judged(one, by_text, DIGESTER), DIGESTER) for one in documents]
    assert len(set(digests)) == len(documents)
    turned: Tree = judged({"b": "y", "a": "x"}, by_text, DIGESTER)
    assert digest_of(turned, DIGESTER) == digests[0]
    stored = Judgement(by_text("x").configured, KeyFacts(KeyForm.FILE_REF, resolved=True))
    assert digest_of(judged("x", lambda _: stored, DIGESTER), DIGESTER) != digests[-1]


def test_the_secrets_digest_follows_the_variables_that_a_file_names(disk: Disk) -> None:
    """The same file says something else when a variable that it leads to has another value."""
    disk.write(json.dumps({"p": {"key": "${MY_KEY}"}}))
    digests = set()
    for value in ("a", "b", ""):
        disk.reader.replace_environment({**disk.env, "MY_KEY": value})
        facts = disk.home().config
        assert facts.providers[0].key.digest == (DIGESTER(value) if value else None)
        digests.add(facts.secrets_digest)
    assert len(digests) == 3


def test_a_text_of_a_file_is_judged_for_config_and_store_apart(disk: Disk) -> None:
    """The name of a provider's variable is that variable in the config, and a secret in a store."""
    disk.env["OPENAI_API_KEY"] = "o"
    disk.write(json.dumps({"p": {"key": "OPENAI_API_KEY"}}))
    key = disk.key()
    assert (key.form, key.name, key.digest) == (KeyForm.ENV_NAME, "OPENAI_API_KEY", DIGESTER("o"))
    entry = {"type": "api_key", "provider": "zai", "keyRef": disk.reference}
    document = json.dumps({"profiles": {"zai:a": entry}}).encode()
    store = disk.reader.decode_store(StoreId(str(disk.state / "s")), document)
    assert store.profiles[0].digest == DIGESTER("OPENAI_API_KEY")


# ------------------------------------------------------------------------------------------------------- late readings


def test_a_reading_that_was_given_up_changes_nothing_when_it_returns(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a younger reading found stays: its secrets for the stores, and what a torn file held."""
    held, go_on = threading.Event(), threading.Event()
    inner = reader_module.environment_facts

    def slow(*given: Any) -> Any:
        if threading.current_thread() is late:
            held.set()
            assert go_on.wait(20)
        return inner(*given)

    disk.home()
    monkeypatch.setattr(reader_module, "environment_facts", slow)
    late = threading.Thread(target=disk.reader.read_home)
    late.start()
    assert held.wait(20)
    disk.write(DOCUMENT.replace("-1", "-9"))
    try:
        assert disk.reader.read_home().config.providers[0].key.digest == DIGESTER(f"{CANARY}-9")
    finally:
        go_on.set()
        late.join(20)
    assert not late.is_alive()
    entry = {"type": "api_key", "provider": "zai", "keyRef": disk.reference}
    document = json.dumps({"profiles": {"zai:a": entry}}).encode()
    store = disk.reader.decode_store(StoreId(str(disk.state / "s")), document)
    assert store.profiles[0].digest == DIGESTER(f"{CANARY}-9")
    disk.write(DOCUMENT[:-3])
    assert disk.key().digest == DIGESTER(f"{CANARY}-9")
