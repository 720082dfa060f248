"""The outline of a config: blocks of another kind than OpenClaw's schema has them make it invalid, rather than empty
(zod-schema.ts @ 2026.5.22).

What is inside the blocks is read tolerantly; but an agent list that isn't a list must not read as "no agents".
"""

from __future__ import annotations

from collections.abc import Mapping

from openclaw_actors.errors import ConfigError

_OBJECTS = ("agents", "agents.defaults", "models", "models.providers", "auth", "auth.profiles", "auth.order")
_LISTS = ("agents.list",)


def check_shape(path: str, config: Mapping[str, object]) -> None:
    """Raise ConfigError for the first block that is there and of the wrong kind."""
    for places, kind, name in ((_OBJECTS, dict, "an object { … }"), (_LISTS, list, "a list [ … ]")):
        for place in places:
            found: object = config
            for key in place.split("."):
                found = found.get(key) if isinstance(found, dict) else None
            if found is not None and not isinstance(found, kind):
                raise ConfigError(
                    path,
                    f"it is not {name}",
                    "Mend it; meanwhile the last good config holds, if there was one.",
                    place=place,
                )
