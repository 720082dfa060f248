"""The `models.json` that a gateway keeps in an agent dir, read into rows (OpenClaw 2026.5.22, models-config.ts).

Keys and headers that stand in the file are skipped while decoding: no type here has a field for them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_actors.catalog.rows import ModelRow, model_key
from openclaw_actors.errors import HomeError
from openclaw_actors.home.facts import Finding
from openclaw_actors.home.files import read_regular
from openclaw_actors.home.providers import normalise_provider

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are not read."""

DEFAULT_CONTEXT_WINDOW = 128_000
"""In tokens, for rows that don't say (models-config.ts @ 2026.5.22)."""

INPUTS = frozenset({"text", "image", "audio", "video", "document"})
"""What a model may take (models-config.ts @ 2026.5.22)."""

_BAD_JSON = (msgspec.DecodeError, ValueError, RecursionError)
"""What msgspec raises for bytes that are no JSON: also for what is no UTF-8, digits without end, and thousands of
nested brackets.
"""

_REMEDY = "Delete the file (the gateway writes it again) or mend it; the other models stay."


class _File(msgspec.Struct):
    providers: dict[str, msgspec.Raw]


class _Entry(msgspec.Struct, rename="camel"):
    base_url: Any = None
    models: list[msgspec.Raw] = []


class _Model(msgspec.Struct, rename="camel"):
    id: str
    name: Any = None
    context_window: Any = None
    reasoning: Any = None
    input: Any = None


class ModelsFile(msgspec.Struct, frozen=True):
    """One reading of a `models.json`."""

    rows: tuple[tuple[ModelRow, bool], ...] = ()
    """Each row in file order, and whether its provider's entry has a base URL."""
    findings: tuple[Finding, ...] = ()


def read_models_file(path: str) -> ModelsFile:
    """Read a `models.json`. A missing file has no rows; a broken file or entry gives a finding, never an exception."""
    try:
        read = read_regular(path, HomeError, limit=MAX_BYTES)
    except HomeError as trouble:
        remedy = "Make it a readable file, or delete it; the other models stay."
        return ModelsFile(findings=(Finding(path, trouble.problem, remedy, code="unreadable-models-json"),))
    if read is None:
        return ModelsFile()
    try:
        entries = msgspec.json.decode(read[0], type=_File).providers
    except _BAD_JSON as error:
        return ModelsFile(findings=(_broken(path, error),))
    rows: list[tuple[ModelRow, bool]] = []
    dropped: list[str] = []
    for spelled, raw in entries.items():
        good, whole = _rows_of(spelled, raw)
        rows += good
        if not whole:
            dropped.append(spelled)
    findings: tuple[Finding, ...] = ()
    if dropped:
        problem = f"rows of {len(dropped)} providers are not as they should be and are left out"
        findings = (Finding(path, problem, _REMEDY, place=f"providers.{dropped[0]}", code="dropped-models"),)
    return ModelsFile(tuple(rows), findings)


def _broken(path: str, error: Exception) -> Finding:
    # msgspec's own text is shape only ("invalid character (byte 12)", "Expected `object`…"): it never quotes a value
    if isinstance(error, msgspec.ValidationError):
        return Finding(path, "has no `providers` object", _REMEDY, code="invalid-models-json")
    _, _, place = str(error).rpartition("(")
    where = place.rstrip(")") if place.startswith("byte ") else ""
    return Finding(path, "is not valid JSON", _REMEDY, place=where, code="invalid-models-json")


def _rows_of(spelled: str, raw: msgspec.Raw) -> tuple[list[tuple[ModelRow, bool]], bool]:
    """Return an entry's rows, and whether all of them could be read."""
    provider = normalise_provider(spelled)
    if not provider:
        return [], False
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except _BAD_JSON:
        return [], False
    has_url = isinstance(entry.base_url, str) and bool(entry.base_url.strip())
    rows: list[tuple[ModelRow, bool]] = []
    whole = True
    for item in entry.models:
        try:
            model = msgspec.json.decode(item, type=_Model)
        except _BAD_JSON:
            whole = False
            continue
        name = model.id.strip()
        if not name:
            whole = False
            continue
        window = model.context_window
        inputs = (
            tuple(one for one in model.input if isinstance(one, str) and one in INPUTS)
            if isinstance(model.input, list)
            else ()
        )
        row = ModelRow(
            provider=provider,
            spelled=spelled,
            id=name,
            name=model.name.strip() or name if isinstance(model.name, str) else name,
            context_window=window if type(window) is int and window > 0 else DEFAULT_CONTEXT_WINDOW,
            reasoning=model.reasoning is True,
            input=inputs or ("text",),
            origin="models.json",
            key=model_key(provider, name),
        )
        rows.append((row, has_url))
    return rows, whole
