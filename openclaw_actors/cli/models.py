"""`models`: what an agent can use, page by page, and what is hidden from it."""

from __future__ import annotations

import click
import msgspec

from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import chosen_agents, warn
from openclaw_actors.cli.source import Source, answered, who_answered
from openclaw_actors.cli.text import counted, did_you_mean, state_label, state_style
from openclaw_actors.shapes import ModelPage


def show_models(
    provider: str | None,
    *,
    home: str | None,
    agent: str | None,
    number: int,
    limit: int,
    everything: bool,
    as_json: bool,
    offline: bool,
) -> int:
    """Print one page of an agent's models; with `everything`, the whole catalogue on one page."""

    def gather(source: Source) -> ModelPage:
        (agent_id,) = chosen_agents(source.about, agent)
        view, most = ("all", None) if everything else ("default", limit)
        return source.models(agent_id, provider, view=view, page=number, limit=most)

    with answered(home, gather, offline=offline) as (told, source):
        if not everything and not 1 <= number <= told.pages:
            raise click.UsageError(f"Page out of range: {number} (valid: 1-{told.pages}).")
        if not told.known:
            warn(f"unknown provider {provider!r}. {did_you_mean(list(told.did_you_mean))}".rstrip())
        if as_json:
            write_json({**msgspec.structs.asdict(told), "answered_by": source.answered_by})
        else:
            _write(told, who_answered(source))
    return 0


def _write(told: ModelPage, who: str) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line, write_table

    plain = ascii_only()
    if told.models:
        rows = [
            (
                (row.id, "bold" if row.has_auth else "dim"),
                (row.name, ""),
                (f"{row.context_window:,}" if row.context_window else "", ""),
                (state_label(row.state, ascii_only=plain), state_style(row.state)),
                ("yes" if row.configured else "", ""),
                (row.reason, "dim"),
            )
            for row in told.models
        ]
        write_table(
            ("model", "name", "context", "state", "configured", "reason"),
            rows,
            numbers=frozenset({2}),
            expendable=(4, 2, 1),
        )
        first = (told.page - 1) * told.limit + 1
        position = f"{first}-{first + len(told.models) - 1} of {counted(told.total, 'model')}"
        more = f"; next: --page {told.page + 1}" if told.page < told.pages else ""
        write_line((f"agent {told.agent}: {position} (page {told.page}/{told.pages}){more}; {who}", "dim"))
    else:
        write_line((f"agent {told.agent}: no models to show", "yellow"), (f"; {who}", "dim"))
    if told.hidden:
        count = sum(one.model_count for one in told.hidden)
        write_line(("", ""))
        write_line((f"Hidden: {counted(count, 'model')} of {counted(len(told.hidden), 'provider')}", "bold"))
        hidden = [
            (
                (one.provider, ""),
                (str(one.model_count), ""),
                (state_label(one.state, ascii_only=plain), state_style(one.state)),
                (one.reason, "dim"),
                (one.next_step, ""),
            )
            for one in told.hidden
        ]
        write_table(
            ("provider", "models", "state", "reason", "next step"), hidden, numbers=frozenset({1}), expendable=(3,)
        )
