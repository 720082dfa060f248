"""Which plugins a config switches off (OpenClaw 2026.5.22, manifest-owner-policy.ts, providers.runtime.ts)."""

from __future__ import annotations

from openclaw_actors.home.providers import tables

_WITH_CATALOGUE = frozenset({"anthropic", "byteplus", "deepseek", "moonshot", "ollama", "tencent", "volcengine", "xai"})
"""Plugins whose manifest names a catalogue entry (`providerCatalogEntry`, bundled manifests @ 2026.5.22)."""


def plugin_switches(block: dict[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the plugins that are switched off, and those of them that are still asked about their own provider.

    Off is: all by `enabled: false`; one by `deny`, by its entry's `enabled: false`, or by an `allow` list that is not
    empty and lacks it. When all are off, OpenClaw's last look still reaches those that nothing else switches off. When
    only `allow` leaves one out, that look reaches it if its own entry enables or configures it and no allowed plugin
    has a catalogue entry, since those are asked instead.

    Args:
        block: `plugins` of the config.
    """
    known = set(tables().plugin_providers)
    entries = _entries(block.get("entries"))
    refused = _ids(block.get("deny")) | {plugin for plugin, entry in entries.items() if entry.get("enabled") is False}
    allowed = _ids(block.get("allow"))
    left_out = known - allowed if allowed else set()
    if block.get("enabled") is False:
        reached = known - refused - left_out
        return tuple(sorted(known | refused)), tuple(sorted(reached))
    named = {
        plugin
        for plugin, entry in entries.items()
        if entry.get("enabled") is True or isinstance(entry.get("config"), dict)
    }
    reached = set() if allowed & _WITH_CATALOGUE - refused else (left_out & named) - refused
    return tuple(sorted(refused | left_out)), tuple(sorted(reached))


def _ids(value: object) -> set[str]:
    """Return the plugin ids of a list, spelled as OpenClaw compares them."""
    texts = (item.strip().lower() for item in value if isinstance(item, str)) if isinstance(value, list) else ()
    return {text for text in texts if text}


def _entries(value: object) -> dict[str, dict[str, object]]:
    items = value.items() if isinstance(value, dict) else ()
    return {name.strip().lower(): entry for name, entry in items if isinstance(entry, dict)}
