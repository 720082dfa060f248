"""Variables in a config: its `env` block, and `${NAME}` in its strings (formats 1.2 steps 4-5; OpenClaw 2026.5.22,
env-substitution.ts).
"""

from __future__ import annotations

import re

from openclaw_actors.errors import ConfigError
from openclaw_actors.home.guarded import is_guarded, portable_name
from openclaw_actors.home.opaque import CONFIG, OpaqueEnv
from openclaw_actors.reading.pace import give_way

_REFERENCE = re.compile(r"(?P<escape>\$?)\$\{(?P<name>[A-Z_][A-Z0-9_]*)\}")
MAX_CHARACTERS = 16 * 1024 * 1024
"""Most characters that the variables in one config come to; ours: a long value that is named often enough would fill
any memory.
"""
_NO_NAMES = frozenset({"", "vars", "shellEnv"})


def with_config_env(document: object, env: OpaqueEnv) -> OpaqueEnv:
    """Return the environment with the config's `env` block below it: only over blank variables.

    Left out: blank values, values that refer to a variable, names that can't be one or are guarded. `env.NAME` wins
    over `env.vars.NAME` (config-env-vars.ts).
    """
    block = document.get("env") if isinstance(document, dict) else None
    if not isinstance(block, dict):
        return env
    inner = block.get("vars")
    wanted: dict[str, str] = {}
    for part in (inner if isinstance(inner, dict) else {}, block):
        for spelled, value in part.items():
            name = portable_name(spelled)
            if isinstance(value, str) and value.strip() and name not in _NO_NAMES and not is_guarded(name):
                wanted[name] = value
    variables = {name: value for name, value in wanted.items() if not _refers(value)}
    return env.with_layer(variables, CONFIG, over_blank=True)


def _refers(text: str) -> bool:
    """Tell whether a text holds a reference to a variable; an escaped one is none."""
    return any(not found["escape"] for found in _REFERENCE.finditer(text))


class Substitution:
    """Replaces the variables in a document; used once.

    Args:
        env: The variables.
        path: The config file, for the error.
    """

    def __init__(self, env: OpaqueEnv, path: str = "") -> None:
        self._env = env
        self._path = path
        self._characters = 0
        self.unresolved: list[tuple[str, str]] = []
        """(place, name) of every variable that is missing or empty; its text stays as it is."""

    def apply(self, value: object, place: str = "") -> object:
        """Return a copy of the value with the variables in every string replaced; `$${NAME}` yields the text
        `${NAME}`.

        Raises:
            ConfigError: The values come to more than `MAX_CHARACTERS`.
        """
        if isinstance(value, str):
            return self._text(value, place) if "${" in value else value
        if isinstance(value, dict):
            return {key: self.apply(item, f"{place}.{key}" if place else str(key)) for key, item in value.items()}
        if isinstance(value, list):
            applied = []
            for index, item in enumerate(value):
                give_way()
                applied.append(self.apply(item, f"{place}[{index}]"))
            return applied
        return value

    def _text(self, text: str, place: str) -> str:
        def replace(found: re.Match[str]) -> str:
            if found["escape"]:
                return found[0][1:]
            value = self._env.raw(found["name"])
            if value:
                self._characters += len(value)
                if self._characters > MAX_CHARACTERS:
                    problem = f"its variables come to more than {MAX_CHARACTERS} characters"
                    raise ConfigError(self._path, problem, f"Name {found['name']} less often.", place=place)
                return value
            self.unresolved.append((place, found["name"]))
            return found[0]

        return _REFERENCE.sub(replace, text)
