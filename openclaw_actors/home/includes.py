"""`$include` in a config: resolved, confined, and merged (formats 1.2 step 3; OpenClaw 2026.5.22, includes.ts)."""

from __future__ import annotations

import os

from openclaw_actors.errors import ConfigError
from openclaw_actors.home.files import CONFIG_LIMIT_BYTES, is_below, read_regular
from openclaw_actors.home.json5 import MAX_NESTING, parse_json5
from openclaw_actors.home.paths import real_path
from openclaw_actors.reading.pace import give_way

MAX_DEPTH = 10
"""Longest chain of files that include each other (includes.ts)."""
MAX_FILES = 256
"""Most files that one config includes, repeats counted; ours: ten levels of doubled includes would otherwise be read
for hours.
"""
MAX_BYTES = 4 * 1024 * 1024
"""Most text that one config includes, in bytes, repeats counted; ours: 256 files of the largest size would become
gigabytes of objects.
"""
_KEY = "$include"


def merge(base: object, over: object) -> object:
    """Merge two values: objects key by key, arrays one after the other, anything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for key, value in over.items():
            merged[key] = merge(merged[key], value) if key in merged else value
        return merged
    if isinstance(base, list) and isinstance(over, list):
        return base + over
    return over


class Includes:
    """Resolves the includes of one config; used once.

    Args:
        config_path: The config file.
        roots: Further folders in which included files may lie.
    """

    def __init__(self, config_path: str, roots: tuple[str, ...] = ()) -> None:
        self._config_path = config_path
        self._roots = (real_path(os.path.dirname(config_path)), *(real_path(root) for root in roots))
        self._files = 0
        self._bytes = 0
        self.paths: list[str] = []
        """Every file that was included or looked for, symbolic links and their targets."""

    def resolve(self, document: object) -> object:
        """Return the document with every include replaced. Raises ConfigError."""
        return self._resolve(document, self._config_path, (real_path(self._config_path),), "", 0)

    def _resolve(self, value: object, path: str, chain: tuple[str, ...], place: str, level: int) -> object:
        if level > MAX_NESTING * 2:
            raise ConfigError(path, "its includes nest too deeply", "Flatten them.", place=place)
        if isinstance(value, list):
            resolved = []
            for index, item in enumerate(value):
                give_way()
                resolved.append(self._resolve(item, path, chain, f"{place}[{index}]", level + 1))
            return resolved
        if not isinstance(value, dict):
            return value
        rest = {
            key: self._resolve(item, path, chain, f"{place}.{key}".lstrip("."), level + 1)
            for key, item in value.items()
            if key != _KEY
        }
        if _KEY not in value:
            return rest
        included = self._include(value[_KEY], path, chain, f"{place}.{_KEY}".lstrip("."), level)
        if not rest:
            return included
        if not isinstance(included, dict):
            raise ConfigError(
                path,
                "keys stand beside an include that is not an object",
                "Remove them, or include an object.",
                place=place,
            )
        return merge(included, rest)

    def _include(self, wanted: object, path: str, chain: tuple[str, ...], place: str, level: int) -> object:
        if isinstance(wanted, str):
            return self._load(wanted, path, chain, place, level)
        if not isinstance(wanted, list) or not all(isinstance(item, str) for item in wanted):
            raise ConfigError(
                path, "an include is neither a path nor a list of paths", "Give paths as strings.", place=place
            )
        merged: object = {}
        for item in wanted:
            merged = merge(merged, self._load(item, path, chain, place, level))
        return merged

    def _load(self, wanted: str, path: str, chain: tuple[str, ...], place: str, level: int) -> object:
        if "\0" in wanted or not wanted.strip():
            raise ConfigError(path, "an include names no file", "Give a path.", place=place)
        target = os.path.normpath(os.path.join(os.path.dirname(path), wanted))
        real = real_path(target)
        self.paths += [target] if real == target else [target, real]
        if not is_below(real, self._roots):
            raise ConfigError(
                path,
                f"the included file {target} lies outside the config's folder",
                "Move it there, or name its folder in OPENCLAW_INCLUDE_ROOTS.",
                place=place,
            )
        if real in chain:
            raise ConfigError(
                path, f"the included file {target} includes itself again", "Break the cycle.", place=place
            )
        if len(chain) > MAX_DEPTH:
            raise ConfigError(path, f"includes go deeper than {MAX_DEPTH} files", "Flatten them.", place=place)
        self._files += 1
        if self._files > MAX_FILES:
            raise ConfigError(path, f"more than {MAX_FILES} files are included", "Include fewer.", place=place)
        read = read_regular(real, ConfigError, limit=CONFIG_LIMIT_BYTES, allow_hard_links=False, within=self._roots)
        if read is None:
            raise ConfigError(
                path, f"the included file {target} is missing", "Create it, or remove the include.", place=place
            )
        self._bytes += len(read[0])
        if self._bytes > MAX_BYTES:
            raise ConfigError(path, f"more than {MAX_BYTES} bytes are included", "Include less.", place=place)
        document = parse_json5(read[0], real)
        return self._resolve(document, target, (*chain, real), "", level + 1)
