"""Secrets that files hold: `secrets.providers.<alias>` with source `file` (formats 1.3; OpenClaw 2026.5.22, resolve.ts,
json-pointer.ts, and secure-file of fs-safe 0.2.7).

They are read with the config, on the thread that reads it, and judged there: references are looked up in the
judgements, and no text is kept. OpenClaw takes a file only when it is a regular one, no symbolic link itself (folders
above it may be), of the process's user, and closed to everybody else; `allowInsecurePath` waives the last two.
"""

from __future__ import annotations

import json
import os
import re
import stat as stat_bits
from collections.abc import Iterable
from typing import NoReturn, final

import msgspec

from openclaw_actors.errors import HomeError
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import Finding
from openclaw_actors.home.files import KEPT_CHANGING, read_regular
from openclaw_actors.home.judged import NO_SECRET, Judge, Judgement, Tree, digest_of, follow, follow_raw, judged
from openclaw_actors.home.paths import absolute, real_path

DEFAULT_LIMIT_BYTES = 1024 * 1024
"""Largest secret file unless `maxBytes` says otherwise (resolve.ts)."""
MAX_LIMIT_BYTES = 20 * 1024 * 1024
"""Largest `maxBytes` (zod-schema.core.ts)."""
SINGLE_VALUE_ID = "value"
"""The one id of a file that is a secret as a whole (ref-contract.ts)."""

_OPEN_TO_OTHERS = 0o066
_LINE_END = re.compile(r"\r?\n\Z")


class FileProvider(msgspec.Struct, frozen=True, gc=False):
    """One declared provider with source `file`; holds no secret."""

    alias: str
    path: str = ""
    """As the config has it, variables replaced."""
    is_single: bool = False
    """Mode `singleValue`: the file is the secret; else it is a JSON object of secrets."""
    limit: int = DEFAULT_LIMIT_BYTES
    """Largest size in bytes."""
    allow_insecure: bool = False
    problem: str = ""
    """What is wrong with the declaration; the file is then not read."""


def file_provider(alias: str, entry: dict[str, object]) -> FileProvider:
    """Read one entry of `secrets.providers` with source `file` tolerantly."""
    path, mode, limit = entry.get("path"), entry.get("mode", "json"), entry.get("maxBytes")
    problem = ""
    if not isinstance(path, str) or not path.strip():
        path, problem = "", "its `path` is missing"
    elif mode not in ("json", "singleValue"):
        problem = "its `mode` is neither json nor singleValue"
    sized = isinstance(limit, (int, float)) and not isinstance(limit, bool) and 1 <= limit <= MAX_LIMIT_BYTES
    return FileProvider(
        alias=alias,
        path=path,
        is_single=mode == "singleValue",
        limit=int(limit) if sized else DEFAULT_LIMIT_BYTES,  # type: ignore[call-overload]
        allow_insecure=entry.get("allowInsecurePath") is True,
        problem=problem,
    )


class _Content(msgspec.Struct, frozen=True):
    """What one file is judged to hold; has no secret."""

    provider: FileProvider
    path: str
    """Absolute; empty when the declaration names none."""
    tree: Tree = None
    """What a reference is looked up in, from before while the file is torn: a judgement when the file is a secret as a
    whole. None when there is nothing.
    """
    problem: str = ""
    """What is wrong with the file now."""
    remedy: str = ""
    is_torn: bool = False
    """It looks half written, so what it held before still counts."""

    def explained(self) -> str:
        """Return file, problem and remedy in one text."""
        return f"{self.path or self.place}: {self.problem}. {self.remedy.rstrip('.')}"

    @property
    def place(self) -> str:
        """Return where the config declares it."""
        return f"secrets.providers.{self.provider.alias}"


@final
class SecretFiles:
    """What all declared secret files were judged to hold at one reading; immutable, safe on any thread.

    It holds no secret, but keyed digests, which mean nothing to another process: it isn't pickled.
    """

    __slots__ = ("_contents",)

    def __init__(self, contents: Iterable[_Content] = ()) -> None:
        self._contents = {content.provider.alias: content for content in contents}

    def look_up(self, alias: str, identifier: str, digester: Digester) -> Judgement | str:
        """Return what is known of the secret that a reference means, or why there is none.

        Args:
            alias: The provider's.
            identifier: A JSON pointer, or `value`.
            digester: The one of the reading.
        """
        content = self._contents.get(alias)
        if content is None:
            return f"the file of the secrets provider {alias} was not read"
        if content.tree is None:
            return content.explained()
        if isinstance(content.tree, Judgement):
            if identifier != SINGLE_VALUE_ID:
                return f"{content.path}: it is one secret as a whole. Give the reference the id `value`"
            return content.tree
        found = follow(content.tree, identifier, digester)
        if isinstance(found, Judgement) and found != NO_SECRET:
            return found
        what = "it has nothing" if found is None else "it has a blank text, or no text,"
        return f"{content.path}: {what} where the reference points. Put the secret there, or mend the reference's id"

    def digest(self, digester: Digester) -> bytes:
        """Return a keyed digest of all that references may yield; it doesn't depend on white space or key order."""
        parts: list[str | bytes] = []
        for alias, content in sorted(self._contents.items()):
            has = content.tree is not None
            parts += (alias, digest_of(content.tree, digester) if has else b"", "" if has else content.problem)
        return digester.of_parts(*parts)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the files, one finding per file."""
        return tuple(
            Finding(
                content.path or content.place,
                content.problem + ("; what it held before still counts" if content.tree is not None else ""),
                content.remedy,
                content.place,
                "torn-secret-file" if content.is_torn else "secret-file",
            )
            for content in self._contents.values()
            if content.problem
        )

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, existing or not, and where symbolic links lead from there."""
        named = [content.path for content in self._contents.values() if content.path]
        return tuple(dict.fromkeys((*named, *map(real_path, named))))

    def last_good(self, path: str, provider: FileProvider) -> Tree:
        """Return what a file was judged to hold when it was last whole, if it is read the same way now."""
        for content in self._contents.values():
            if content.path == path and content.provider.is_single == provider.is_single:
                return content.tree
        return None

    def __repr__(self) -> str:
        return f"SecretFiles(<{len(self._contents)} files>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("SecretFiles belong to one process and are not pickled")

    def __copy__(self) -> SecretFiles:
        return self

    def __deepcopy__(self, memo: object) -> SecretFiles:
        return self


NO_FILES = SecretFiles()
"""Nothing declared, or nothing read yet."""


def read_secret_files(
    providers: Iterable[FileProvider], home: str, judge: Judge, digester: Digester, before: SecretFiles = NO_FILES
) -> SecretFiles:
    """Read the files of all declared providers and judge what they hold; trouble with one of them is kept with it and
    raised by nobody.

    Args:
        providers: The declarations.
        home: What `~` means.
        judge: Says what one text is, by the environment and the rules of this reading.
        digester: Makes the digests of keys.
        before: The last reading, with the same digester: a file that is torn now keeps what it was judged to hold
            there, by the environment of that time.
    """
    return SecretFiles([_read(provider, home, judge, digester, before) for provider in providers])


def text_in(provider: FileProvider, home: str, identifier: str) -> str:
    """Return the text that a reference means, read now; it is a secret.

    Args:
        provider: The declaration.
        home: What `~` means.
        identifier: A JSON pointer, or `value`.

    Raises:
        HomeError: There is none.
    """
    path = absolute(provider.path, home) if provider.path else ""
    payload, problem, remedy, _ = _payload(provider, path)
    if problem:
        place = f"secrets.providers.{provider.alias}"
        raise HomeError(path or place, problem, remedy, place=place if path else "")
    if provider.is_single:
        found = payload if identifier == SINGLE_VALUE_ID else None
    else:
        found = follow_raw(payload, identifier)
    if not isinstance(found, str) or not found.strip():
        problem = "it has no text where the reference points"
        raise HomeError(path, problem, "Put the secret there, or mend the reference's id.", place=identifier)
    return found


def _read(provider: FileProvider, home: str, judge: Judge, digester: Digester, before: SecretFiles) -> _Content:
    path = absolute(provider.path, home) if provider.path else ""
    payload, problem, remedy, torn = _payload(provider, path)
    if problem:
        return _Content(provider, path, before.last_good(path, provider) if torn else None, problem, remedy, torn)
    return _Content(provider, path, judged(payload, judge, digester))


def _payload(provider: FileProvider, path: str) -> tuple[object, str, str, bool]:
    """Return what a file holds; or None, the problem, its remedy, and whether the file looks half written."""
    if provider.problem:
        return None, provider.problem, "Mend the declaration in the config.", False
    try:
        read = read_regular(path, HomeError, limit=provider.limit, follow_link=False)
    except HomeError as trouble:
        return None, trouble.problem, trouble.remedy, trouble.problem == KEPT_CHANGING
    if read is None:
        return None, "it is not there", "Create it, or remove the references to it.", False
    data, status = read
    insecure = "" if provider.allow_insecure else _insecurity(status)
    if insecure:
        remedy = "Let only the user of this process read and write it (chown, chmod 600), or set allowInsecurePath."
        return None, insecure, remedy, False
    # OpenClaw decodes like this: what is no UTF-8 becomes a replacement character.
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    payload, problem = (_LINE_END.sub("", text), "") if provider.is_single else _parsed(text)
    if not text.strip():
        problem = "it is empty"
    if problem:
        return None, problem, "Write it again as a whole; it is read when it changes.", True
    if not isinstance(payload, (str if provider.is_single else dict)):
        return None, "it is not a JSON object", "Put the secrets into one { … }.", False
    return payload, "", "", False


def _insecurity(status: os.stat_result) -> str:
    """Return why a file can't be trusted with a secret; empty when it can."""
    if status.st_mode & _OPEN_TO_OTHERS:
        return f"others may read or write it (mode {stat_bits.S_IMODE(status.st_mode):03o})"
    if status.st_uid != os.getuid():
        return "it belongs to another user"
    return ""


def _parsed(text: str) -> tuple[object, str]:
    """Return the JSON document and no problem, or None and where it is broken. The decoder's own error holds the
    document, so it ends here.
    """
    place = ""
    try:
        # Numbers are no secrets, and as floats they have no length at which Python refuses them.
        return json.loads(text, parse_constant=_refused, parse_int=float), ""
    except json.JSONDecodeError as trouble:
        place = f" (line {trouble.lineno}, column {trouble.colno})"
    except (ValueError, RecursionError):
        pass
    return None, f"it is not valid JSON{place}"


def _refused(constant: str) -> NoReturn:
    """Refuse `NaN` and `Infinity`, which Python takes and JSON doesn't have."""
    raise ValueError("a constant that JSON doesn't have")
