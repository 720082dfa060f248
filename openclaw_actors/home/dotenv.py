"""Dotenv files: their grammar, and the layers that OpenClaw reads (formats 1.2 step 1; OpenClaw 2026.5.22,
infra/dotenv).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from openclaw_actors.errors import ConfigError
from openclaw_actors.home.facts import Finding
from openclaw_actors.home.files import read_regular
from openclaw_actors.home.guarded import is_blocked_in_cwd, portable_name
from openclaw_actors.home.opaque import OpaqueEnv
from openclaw_actors.home.paths import HomeLocation

NO_DOTENVS: Final[Mapping[str, OpaqueEnv]] = MappingProxyType({})
"""No dotenv file was read yet."""
UNREADABLE: Final = "dotenv-unreadable"
"""Code of the finding about a file that is there and can't be read."""

_LIMIT_BYTES = 512 * 1024
_NAME = re.compile(r"[ \t\v\f]*(?:export[ \t]+)?(?P<name>[A-Za-z0-9_.-]+)(?:[ \t]*=|:[ \t])[ \t]*")
_REST = re.compile(r"[ \t]*(?:\#[^\n]*)?(?=\n|\Z)")
_QUOTES = ("'", '"', "`")


def parse_dotenv(text: str) -> dict[str, str]:
    """Parse a dotenv text; a later line of the same name wins.

    `NAME=value`, `NAME: value`, an optional `export`; values bare (up to `#`), or in single, double or back quotes,
    which may span lines; `\\n` and `\\r` are line breaks inside double quotes. Nothing is expanded;
    lines of another form are passed over.
    """
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    out: dict[str, str] = {}
    position = 0
    while position < len(text):
        line_end = text.find("\n", position)
        line_end = len(text) if line_end < 0 else line_end
        head = _NAME.match(text, position, line_end)
        if head is None:
            position = line_end + 1
            continue
        quoted = _quoted(text, head.end())
        if quoted is not None:
            out[head["name"]], end = quoted
            position = end
        else:
            out[head["name"]] = _unwrapped(text[head.end() : line_end].split("#", 1)[0].strip())
            position = line_end
        position += 1
    return out


def _quoted(text: str, start: int) -> tuple[str, int] | None:
    """Read a quoted value; None unless a closing quote has nothing but a comment after it."""
    quote = text[start : start + 1]
    if quote not in _QUOTES:
        return None
    end = start + 1
    while (end := text.find(quote, end)) >= 0 and text[end - 1] == "\\" and end - 1 > start:
        end += 1
    if end < 0:
        return None
    rest = _REST.match(text, end + 1)
    if rest is None:
        return None
    return _unwrapped(text[start : end + 1]), rest.end()


def _unwrapped(value: str) -> str:
    """Take off matching quotes around a value, and expand line breaks if they are double ones."""
    quote = value[:1]
    if len(value) < 2 or quote not in _QUOTES or not value.endswith(quote):
        return value
    inner = value[1:-1]
    return inner.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else inner


class Layers:
    """What the dotenv files add to the process's variables. Reads them when it is made; one thread uses it.

    Args:
        env: The process's variables.
        location: The home.
        cwd: The folder of the first layer; None has none.
        before: What the files held when they were last read, by path: one that is there and can't be read now keeps
            it. One that is gone keeps nothing.
    """

    def __init__(
        self,
        env: OpaqueEnv,
        location: HomeLocation,
        cwd: str | None,
        before: Mapping[str, OpaqueEnv] = NO_DOTENVS,
    ) -> None:
        self.env = env
        """The variables with all layers below them."""
        self.findings: list[Finding] = []
        self.paths: list[str] = []
        """The files that were looked for."""
        self.held: dict[str, OpaqueEnv] = {}
        """What each file holds, or held when it was last read; opaque."""
        self._before = before
        if cwd is not None:
            self._add(os.path.join(cwd, ".env"), from_cwd=True)
        self._add(os.path.join(location.state_dir, ".env"))
        if location.default_state_dir:
            self._add(os.path.join(location.home, ".config", "openclaw", "gateway.env"))

    def _add(self, path: str, *, from_cwd: bool = False) -> None:
        if path in self.paths:
            return
        self.paths.append(path)
        try:
            read = read_regular(path, ConfigError, limit=_LIMIT_BYTES)
        except ConfigError as trouble:
            kept = self._before.get(path)
            what = "its variables are missing" if kept is None else "what it held before still counts"
            self.findings.append(Finding(path, f"{trouble.problem}; {what}", trouble.remedy, code=UNREADABLE))
            if kept is not None:
                self._take(path, kept)
            return
        if read is None:
            return
        parsed = parse_dotenv(read[0].decode("utf-8", "replace"))
        variables = {name: value for name, value in parsed.items() if portable_name(name)}
        if from_cwd:
            variables = {name: value for name, value in variables.items() if not is_blocked_in_cwd(name)}
        self._take(path, OpaqueEnv(variables, path))

    def _take(self, path: str, variables: OpaqueEnv) -> None:
        self.held[path] = variables
        self.env = self.env.with_layer(variables, path)
