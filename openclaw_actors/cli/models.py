"""`models`: what an agent can use, page by page, and what is hidden from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import chosen_agents, one_shot, warn
from openclaw_actors.cli.text import counted, did_you_mean, near_misses, state_label, state_style
from openclaw_actors.shapes import model_page

if TYPE_CHECKING:
    from openclaw_actors.listing.listing import Listing, Page


def show_models(
    provider: str | None,
    *,
    home: str | None,
    agent: str | None,
    number: int,
    limit: int,
    everything: bool,
    as_json: bool,
) -> int:
    """Print one page of an agent's models; with `everything`, the whole catalogue on one page."""
    from openclaw_actors.listing.listing import Page, page

    with one_shot(home) as supervisor:
        (agent_id,) = chosen_agents(supervisor, agent)
        view = "all" if everything else "default"
        listing = supervisor.models(agent_id=agent_id, provider=provider, view=view)
        if everything:
            chosen = Page(listing.rows, 1, 1, max(1, listing.total), listing.total, 1 if listing.rows else 0)
        else:
            chosen = page(listing, number, limit)
        if not chosen.in_range:
            raise click.UsageError(f"Page out of range: {number} (valid: 1-{chosen.pages}).")
        if provider is not None and listing.provider is not None:
            known = supervisor.snapshot(agent_id).verdicts
            if listing.provider not in known:
                warn(f"unknown provider {provider!r}. {did_you_mean(near_misses(provider, known))}".rstrip())
    if as_json:
        write_json(model_page(listing, chosen))
    else:
        _write(listing, chosen)
    return 0


def _write(listing: Listing, page: Page) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line, write_table

    plain = ascii_only()
    if page.rows:
        rows = [
            (
                (row.id, "bold" if row.has_auth else "dim"),
                (row.name, ""),
                (f"{row.context_window:,}" if row.context_window else "", ""),
                (state_label(row.state, ascii_only=plain), state_style(row.state)),
                ("yes" if row.configured else "", ""),
                (row.reason, "dim"),
            )
            for row in page.rows
        ]
        write_table(
            ("model", "name", "context", "state", "configured", "reason"),
            rows,
            numbers=frozenset({2}),
            expendable=(4, 2, 1),
        )
        last = page.first + len(page.rows) - 1
        position = f"{page.first}-{last} of {counted(page.total, 'model')} (page {page.page}/{page.pages})"
        more = f"; next: --page {page.page + 1}" if page.page < page.pages else ""
        write_line((f"agent {listing.agent_id}: {position}{more}", "dim"))
    else:
        write_line((f"agent {listing.agent_id}: no models to show", "yellow"))
    if listing.hidden:
        count = sum(one.model_count for one in listing.hidden)
        write_line(("", ""))
        write_line((f"Hidden: {counted(count, 'model')} of {counted(len(listing.hidden), 'provider')}", "bold"))
        hidden = [
            (
                (one.provider, ""),
                (str(one.model_count), ""),
                (state_label(one.state, ascii_only=plain), state_style(one.state)),
                (one.reason, "dim"),
                (one.next_step, ""),
            )
            for one in listing.hidden
        ]
        write_table(
            ("provider", "models", "state", "reason", "next step"), hidden, numbers=frozenset({1}), expendable=(3,)
        )
