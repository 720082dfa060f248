"""Secret references and what else can stand where a key is expected (formats 1.3, 4.5; OpenClaw 2026.5.22,
types.secrets.ts, resolve.ts).
"""

from __future__ import annotations

import re
from typing import NoReturn, final

import msgspec

from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import KeyFacts, KeyForm
from openclaw_actors.home.judged import Judgement
from openclaw_actors.home.opaque import OpaqueEnv, cleaned
from openclaw_actors.home.providers import env_name_markers, is_non_secret_marker
from openclaw_actors.home.secret_files import NO_FILES, SINGLE_VALUE_ID, FileProvider, SecretFiles, file_provider

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,127}\Z")
_TEXT_REFERENCE = re.compile(
    r"(?:\$\{(?P<a>[A-Z][A-Z0-9_]{0,127})\}|(?:\$|secretref-env:|__env__:)(?P<b>[A-Z][A-Z0-9_]{0,127}))\Z"
)
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_EXEC_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}\Z")
_SOURCES = ("env", "file", "exec")
_MAX_ALLOWLIST = 256


class SecretRules(msgspec.Struct, frozen=True, gc=False):
    """The `secrets` block as far as reading needs it; holds no secret."""

    env_default: str = "default"
    file_default: str = "default"
    exec_default: str = "default"
    providers: tuple[tuple[str, str, tuple[str, ...] | None], ...] = ()
    """(alias, source, allowlist); the allowlist is None when any name is allowed."""
    files: tuple[FileProvider, ...] = ()
    """Of these, those with source `file`."""

    def default_alias(self, source: str) -> str:
        """Return the alias that a reference without one means."""
        return {"env": self.env_default, "file": self.file_default, "exec": self.exec_default}[source]

    def declared(self, alias: str) -> tuple[str, tuple[str, ...] | None] | None:
        """Return (source, allowlist) of a declared alias, or None."""
        return next(((source, allowed) for name, source, allowed in self.providers if name == alias), None)


def secret_rules(block: object) -> SecretRules:
    """Read the config's `secrets` block tolerantly."""
    if not isinstance(block, dict):
        return SecretRules()
    defaults = block.get("defaults")
    aliases = []
    for source in _SOURCES:
        alias = defaults.get(source) if isinstance(defaults, dict) else None
        alias = alias.strip() if isinstance(alias, str) else ""
        aliases.append(alias if _ALIAS.match(alias) else "default")
    declared = block.get("providers")
    providers: list[tuple[str, str, tuple[str, ...] | None]] = []
    files: list[FileProvider] = []
    for alias, entry in declared.items() if isinstance(declared, dict) else ():
        if isinstance(entry, dict) and entry.get("source") in _SOURCES and _ALIAS.match(alias):
            names = entry.get("allowlist")
            allowed = (
                tuple(name for name in names if isinstance(name, str))[:_MAX_ALLOWLIST]
                if isinstance(names, list)
                else None
            )
            providers.append((alias, str(entry["source"]), allowed))
            if entry["source"] == "file":
                files.append(file_provider(alias, entry))
    return SecretRules(aliases[0], aliases[1], aliases[2], tuple(providers), tuple(files))


def is_plain(text: str) -> bool:
    """Tell whether a trimmed text in a store is a secret itself: something, and no reference to a variable."""
    return bool(text) and (text[0] not in "$s_" or _TEXT_REFERENCE.match(text) is None)


def is_secret_ref(value: object) -> bool:
    """Tell whether a value has the object form of a secret reference: source and id, and a provider or (older) none."""
    if not isinstance(value, dict) or not value.keys() <= {"source", "provider", "id"}:
        return False
    identifier, alias = value.get("id"), value.get("provider", "default")
    return (
        value.get("source") in _SOURCES
        and isinstance(identifier, str)
        and bool(identifier.strip())
        and isinstance(alias, str)
        and bool(alias.strip())
    )


@final
class Resolver:
    """Says what stands where a secret is expected, and whether it yields one now. It has one environment, one set of
    rules and one reading of the secret files; immutable, safe on any thread.
    """

    __slots__ = ("digester", "env", "files", "rules")

    def __init__(self, env: OpaqueEnv, rules: SecretRules, digester: Digester, files: SecretFiles = NO_FILES) -> None:
        self.env = env
        self.rules = rules
        self.digester = digester
        self.files = files

    def configured(self, value: object) -> KeyFacts:
        """Return the facts of a key in the config: references count, and so do markers and bare variable names."""
        return _facts(value, self, markers=True)

    def stored(self, value: object) -> KeyFacts:
        """Return the facts of a stored profile's key or token: references count, markers don't."""
        return _facts(value, self, markers=False)

    def judge(self, text: str) -> Judgement:
        """Return what is known of a text in a secret file, for either kind of reference; it holds no part of it but
        the name of a provider's variable or a marker.
        """
        configured, stored = _of_file(text, self, True), _of_file(text, self, False)
        return Judgement(configured, configured if stored == configured else stored)

    def __repr__(self) -> str:
        return "Resolver(<environment>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Resolver holds secrets and is not pickled")


def _facts(value: object, by: Resolver, markers: bool) -> KeyFacts:
    if value is None:
        return KeyFacts()
    if isinstance(value, str):
        return msgspec.structs.replace(_of_text(value, by, markers), is_text=True)
    if isinstance(value, dict):
        return _of_object(value, by, markers)
    return _malformed("it is neither a text nor a secret reference")


def _of_text(value: str, by: Resolver, markers: bool) -> KeyFacts:
    reference = _TEXT_REFERENCE.match(value.strip())
    if reference:
        return _env_reference(reference["a"] or reference["b"], by.rules.env_default, by, markers)
    # In the config a key is cleaned before anybody looks whether one is there; in a store it is only trimmed.
    text = cleaned(value) if markers else value.strip()
    if not text:
        return KeyFacts(KeyForm.BLANK, problem="it is blank")
    found = _stand_in(text, by) if markers else None
    return found or KeyFacts(KeyForm.LITERAL, resolved=True, digest=by.digester(text))


def _stand_in(text: str, by: Resolver) -> KeyFacts | None:
    """Return the facts of a bare variable name or a marker; None when the text is neither."""
    if text in env_name_markers():
        return _variable(KeyForm.ENV_NAME, text, by)
    if is_non_secret_marker(text):
        shown = "oauth:…" if text.startswith("oauth:") else text
        return KeyFacts(KeyForm.MARKER, shown, problem="it is a marker, not a secret")
    return None


def _of_object(value: dict[str, object], by: Resolver, markers: bool) -> KeyFacts:
    if not is_secret_ref(value):
        return _malformed("it is an object that is no secret reference (source, provider, id)")
    source, identifier = str(value["source"]), str(value["id"]).strip()
    alias = str(value.get("provider", by.rules.default_alias(source))).strip()
    if not _ALIAS.match(alias):
        return _malformed("its secret reference names no valid provider alias")
    if source == "env":
        return _env_reference(identifier, alias, by, markers)
    if source == "file":
        return _file_reference(identifier, alias, by, markers)
    # An identifier of a form that can't be one is not repeated: it may be a secret that was pasted into the wrong
    # place.
    parts = identifier.split("/")
    sound = bool(_EXEC_ID.match(identifier)) and "." not in parts and ".." not in parts
    name = f"exec:{alias}:{identifier}" if sound else ""
    return KeyFacts(KeyForm.EXEC_REF, name, problem="exec references aren't run yet")


def _env_reference(name: str, alias: str, by: Resolver, markers: bool) -> KeyFacts:
    if not _NAME.match(name):
        return KeyFacts(KeyForm.ENV_REF, problem="its id is not a variable name (capitals, digits, underscores)")
    declared = by.rules.declared(alias)
    problem = ""
    if declared is None:
        if alias != by.rules.env_default:
            problem = f"the secrets provider {alias} is not declared"
    elif declared[0] != "env":
        problem = f"the secrets provider {alias} is not an env provider"
    elif declared[1] is not None and name not in declared[1]:
        problem = f"the allowlist of the secrets provider {alias} lacks {name}"
    if problem:
        return KeyFacts(KeyForm.ENV_REF, name, problem=problem)
    # Activation puts the variable's value in the reference's place, and there it is read like any other text.
    value = by.env.get(name) if markers else None
    found = _stand_in(value, by) if value else None
    return found or _variable(KeyForm.ENV_REF, name, by)


def _variable(form: KeyForm, name: str, by: Resolver) -> KeyFacts:
    value = by.env.get(name)
    if value is None:
        return KeyFacts(form, name, problem=f"the variable {name} is not set")
    return KeyFacts(form, name, True, by.digester(value))


def _file_reference(identifier: str, alias: str, by: Resolver, markers: bool) -> KeyFacts:
    if identifier != SINGLE_VALUE_ID and not identifier.startswith("/"):
        return KeyFacts(KeyForm.FILE_REF, problem="its id is neither a JSON pointer (/…) nor `value`")
    name = f"file:{alias}:{identifier}"
    declared = by.rules.declared(alias)
    if declared is None:
        return KeyFacts(KeyForm.FILE_REF, name, problem=f"the secrets provider {alias} is not declared")
    if declared[0] != "file":
        return KeyFacts(KeyForm.FILE_REF, name, problem=f"the secrets provider {alias} is not a file provider")
    found = by.files.look_up(alias, identifier, by.digester)
    if isinstance(found, str):
        return KeyFacts(KeyForm.FILE_REF, name, problem=found)
    facts = found.configured if markers else found.stored
    return msgspec.structs.replace(facts, name=name) if facts.form is KeyForm.FILE_REF else facts


def _of_file(text: str, by: Resolver, markers: bool) -> KeyFacts:
    """Judge a text of a secret file. Activation puts it in the reference's place, and there it is read like any other
    text. If it has the form of a reference to a variable, that name is not shown: it comes out of a file of secrets.
    """
    found = _of_text(text, by, markers)
    if found.form in (KeyForm.ENV_NAME, KeyForm.MARKER):
        return msgspec.structs.replace(found, is_text=True)
    problem = ""
    if not found.resolved:
        problem = "what the file has for it is blank, or reads as a reference to a variable that yields nothing"
    return KeyFacts(KeyForm.FILE_REF, "", found.resolved, found.digest, problem, is_text=True)


def _malformed(problem: str) -> KeyFacts:
    return KeyFacts(KeyForm.MALFORMED, problem=problem)
