"""The catalogue of a home, put together from its three sources (formats 8.1, 8.2)."""

from __future__ import annotations

import functools
import os
import pkgutil
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import final

import msgspec

from openclaw_actors.catalog.models_json import ModelsFile, read_models_file
from openclaw_actors.catalog.rows import ModelRow, dedupe_key, model_key
from openclaw_actors.home.facts import ConfigFacts, Finding
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import ProviderId
from openclaw_actors.reading.pace import give_way

Groups = dict[ProviderId, tuple[ModelRow, ...]]
"""Rows by provider, each group sorted by model id."""


class _BuiltInRow(msgspec.Struct, array_like=True, frozen=True):
    id: str
    name: str
    context_window: int | None
    reasoning: bool | None
    input: tuple[str, ...]


class _BuiltInFile(msgspec.Struct, frozen=True):
    source: str
    rows: dict[str, tuple[_BuiltInRow, ...]]


@final
class Catalog:
    """Every model that a home knows of. Immutable: safe on any thread, shared by all agents."""

    __slots__ = ("_index", "_own", "_own_index", "_shared", "depends_on", "findings", "providers")

    def __init__(
        self,
        shared: Mapping[ProviderId, tuple[ModelRow, ...]],
        index: Mapping[str, ModelRow],
        own: Mapping[str, Groups],
        *,
        findings: tuple[Finding, ...] = (),
        depends_on: tuple[str, ...] = (),
    ) -> None:
        self._shared = shared
        self._index = index
        self._own = own
        self._own_index = {
            directory: {dedupe_key(row.provider, row.id): row for rows in groups.values() for row in rows}
            for directory, groups in own.items()
        }
        extra = {provider for groups in own.values() for provider in groups}
        self.providers: tuple[ProviderId, ...] = tuple(sorted(shared.keys() | extra))
        """Every provider with a row for some agent, sorted; normalised ids."""
        self.findings = findings
        """What could not be read."""
        self.depends_on = depends_on
        """Absolute paths that the rows depend on, existing or not."""

    def rows_of(self, provider: str, agent_dir: str | None = None) -> tuple[ModelRow, ...]:
        """Return the rows of a normalised provider id, by model id; with an agent dir, those of its own file too."""
        if agent_dir is not None:
            own = self._own.get(agent_dir)
            if own is not None:
                rows = own.get(provider)  # type: ignore[call-overload]
                if rows is not None:
                    return rows  # type: ignore[no-any-return]
        return self._shared.get(provider, ())  # type: ignore[call-overload, no-any-return]

    def has_own_rows(self, agent_dir: str) -> bool:
        """Tell whether the agents of a dir have a file of models of their own."""
        return agent_dir in self._own

    def count(self, provider: str, agent_dir: str | None = None) -> int:
        """Return how many models a provider has, in any spelling."""
        return len(self.rows_of(normalise_provider(provider), agent_dir))

    def find(self, ref: str, agent_dir: str | None = None) -> ModelRow | None:
        """Return the row that `provider/model` names, or None.

        The provider may be in any spelling, upper and lower case don't matter, and the id may itself start with the
        provider (`openrouter/auto` is the model `openrouter/auto` of `openrouter`).
        """
        spelled, slash, model = ref.strip().partition("/")
        if not slash:
            return None
        provider = normalise_provider(spelled)
        for key in (dedupe_key(provider, model), dedupe_key(provider, f"{spelled}/{model}")):
            row = self._index.get(key)
            if row is None and agent_dir is not None:
                row = self._own_index.get(agent_dir, {}).get(key)
            if row is not None:
                return row
        return None

    def __len__(self) -> int:
        return len(self._index)

    def __eq__(self, other: object) -> bool:
        """Compare by content, so that a reading which found nothing new is known as such."""
        if not isinstance(other, Catalog):
            return NotImplemented
        return self.has_rows_of(other) and self.findings == other.findings and self.depends_on == other.depends_on

    def has_rows_of(self, other: Catalog) -> bool:
        """Tell whether another catalogue has the same models, wherever it looked for them."""
        return self._shared == other._shared and self._own == other._own

    def __hash__(self) -> int:
        return hash((self.providers, self.depends_on))

    def __repr__(self) -> str:
        return f"Catalog(models={len(self)}, providers={len(self.providers)})"


def load_catalog(config: ConfigFacts) -> Catalog:
    """Read the catalogue of a home. Reads files: not for an event loop. Never raises for what stands in them.

    Rows with the same provider and id, in any case, are one model and the earlier source wins: built-in rows, then
    `models.json`, then `models.providers.*.models[]`. The default agent's `models.json` counts for all agents, any
    other one for the agents of that dir. In these files a built-in provider needs a `baseUrl`, as OpenClaw has it.
    With `models.mode: "replace"` the config's rows are the whole catalogue.
    """
    files = _models_files(config)
    readings = {}
    for directory, path in files:
        give_way()
        readings[directory] = read_models_file(path)
    findings = tuple(finding for reading in readings.values() for finding in reading.findings)
    depends_on = tuple(path for _, path in files)
    configured = _config_rows(config)
    if config.models_mode == "replace":
        rows, added = _merged({}, {}, configured)
        return Catalog(rows, added, {}, findings=findings, depends_on=depends_on)
    built_in, index = built_in_rows()
    default_dir = files[0][0]
    shared, index = _merged(built_in, index, [*_file_rows(readings[default_dir]), *configured])
    own = {}
    for directory, reading in readings.items():
        if directory != default_dir and reading.rows:
            groups, _ = _merged(shared, index, _file_rows(reading))
            own[directory] = {provider: rows for provider, rows in groups.items() if rows is not shared.get(provider)}
    return Catalog(shared, index, own, findings=findings, depends_on=depends_on)


@functools.cache
def built_in_rows() -> tuple[Mapping[ProviderId, tuple[ModelRow, ...]], Mapping[str, ModelRow]]:
    """Return the rows of OpenClaw 2026.5.22 in a bare home, grouped and indexed. Reads package data on the first call.

    The data holds 955 rows of 39 providers; seven of them say the same `provider/id` twice, and the first one counts.
    """
    text = pkgutil.get_data(__package__, "catalog.json")
    assert text is not None
    rows: list[ModelRow] = []
    for spelled, group in msgspec.json.decode(text, type=_BuiltInFile).rows.items():
        give_way()
        provider = normalise_provider(spelled)
        rows += [
            ModelRow(
                provider=provider,
                spelled=spelled,
                id=row.id,
                name=row.name,
                context_window=row.context_window,
                reasoning=row.reasoning,
                input=row.input,
                origin="built-in",
                key=model_key(provider, row.id),
            )
            for row in group
        ]
    groups, index = _merged({}, {}, rows)
    return MappingProxyType(groups), MappingProxyType(index)


def _merged(
    groups: Mapping[ProviderId, tuple[ModelRow, ...]], index: Mapping[str, ModelRow], rows: Iterable[ModelRow]
) -> tuple[Groups, dict[str, ModelRow]]:
    """Return copies with the rows that fill a gap; groups that get none are the very same tuples."""
    new_index = dict(index)
    gaps: dict[ProviderId, list[ModelRow]] = {}
    for row in rows:
        give_way()
        key = dedupe_key(row.provider, row.id)
        if key not in new_index:
            new_index[key] = row
            gaps.setdefault(row.provider, []).append(row)
    new_groups = dict(groups)
    for provider, added in gaps.items():
        new_groups[provider] = tuple(sorted((*new_groups.get(provider, ()), *added), key=_model_id))
    return new_groups, new_index


def _model_id(row: ModelRow) -> str:
    return row.id


def _models_files(config: ConfigFacts) -> list[tuple[str, str]]:
    """Return (agent dir, path) of each distinct agent dir, the default agent's first."""
    ordered = sorted(config.agents, key=lambda agent: agent.id != config.default_agent)
    directories = dict.fromkeys(agent.agent_dir for agent in ordered) or {config.main_store: None}
    return [(directory, os.path.join(directory, "models.json")) for directory in directories]


def _file_rows(reading: ModelsFile) -> list[ModelRow]:
    built_in, _ = built_in_rows()
    return [row for row, has_url in reading.rows if has_url or row.provider not in built_in]


def _config_rows(config: ConfigFacts) -> list[ModelRow]:
    return [
        ModelRow(
            provider=provider.id,
            spelled=provider.spelled,
            id=model.id,
            name=model.name or model.id,
            context_window=model.context_window,
            reasoning=model.reasoning,
            input=model.input,
            origin="config",
            key=model_key(provider.id, model.id),
        )
        for provider in config.providers
        for model in provider.models
    ]
