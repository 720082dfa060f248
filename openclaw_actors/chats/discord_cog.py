"""A cog for discord.py: `/models`, with completion of provider and model, and the pages of select menus.

Discord gives an interaction three seconds to be acknowledged: the command and the components do so before anything
else. A completion can't be put off, so the embedder's hooks have `HOOKS_S` in it; what it offers is read from memory.

Menus outlive the process: nothing is kept about a message. Whatever custom id begins as ours do comes to the cog's
listener (`on_interaction`), also when another process has sent the message; its tokens are of that process, so the
answer is that the models changed, and the fresh page.

Needs the extra `discord`. `await bot.add_cog(ModelsCog(supervisor))`, and once `await bot.tree.sync()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

try:
    import discord
    from discord import app_commands
    from discord.ext import commands
except ImportError as error:
    raise ImportError(
        "openclaw_actors.chats.discord_cog needs discord.py: pip install 'openclaw_actors[discord]'", name="discord"
    ) from error

from openclaw_actors.chats.desk import (
    FAILED_TEXT,
    AgentOf,
    Allowed,
    Answer,
    CurrentOf,
    Desk,
    OnChosen,
    Shown,
    above,
    answering,
    log_failure,
)
from openclaw_actors.listing.chat import MAX_ECHO, NOT_AUTHORISED
from openclaw_actors.listing.labels import keep_start, label
from openclaw_actors.listing.listing import Listing
from openclaw_actors.listing.menu import find_provider, providers_of
from openclaw_actors.pickers import discord as pages
from openclaw_actors.pickers.discord import DiscordPage
from openclaw_actors.pickers.targets import ShowModels, ShowProviders, Unknown
from openclaw_actors.reads import Reads

__all__ = ["HOOKS_S", "ModelsCog"]

HOOKS_S = 2.0
"""How long the hooks may take together while somebody types, in seconds: Discord waits for three."""

HINT_VALUE = pages.SURFACE.prefix + "hint"
"""The value of a choice that is none: it only says why there are no others."""

SLOW_TEXT = "Finding out whose models these are takes too long here. Send the command without choosing one."
"""For hooks that took longer than `HOOKS_S`."""

_CHAT = "discord"
_SELECT = discord.ComponentType.string_select.value

Interaction: TypeAlias = "discord.Interaction[Any]"
Complete = Callable[[Listing, str], tuple[pages.Choice, ...]]


class ModelsCog(commands.Cog):
    """`/models [provider] [model]`: chooses a model, or shows the pages to choose it from. Only the asker sees them.

    The hooks are called with the `discord.Interaction`, on the bot's event loop; a plain function must not block it.

    Args:
        supervisor: Whose answers are shown. It needn't be warm.
        agent_of: Returns the agent that an interaction is about, None for the default one; may be async.
        allowed: Tells who may use it; by default everybody whom Discord lets. May be async.
        on_chosen: Called with `provider/model`, the agent id and the interaction, which is acknowledged by then.
            Returns what to answer; None is the usual answer, an empty text says that it has answered.
        current_of: Called with the agent id and the interaction: returns the model that is selected now, if any.
    """

    def __init__(
        self,
        supervisor: Reads,
        *,
        agent_of: AgentOf[Interaction] | None = None,
        allowed: Allowed[Interaction] | None = None,
        on_chosen: OnChosen[Interaction] | None = None,
        current_of: CurrentOf[Interaction] | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._desk: Desk[Interaction, DiscordPage] = Desk(
            supervisor, pages, agent_of=agent_of, allowed=allowed, on_chosen=on_chosen, current_of=current_of
        )

    @app_commands.command(name="models", description="Choose a model among those that work now")
    @app_commands.describe(provider="Show the models of this provider", model="Choose this model at once")
    async def models(self, interaction: Interaction, provider: str | None = None, model: str | None = None) -> None:
        """Acknowledge, then choose the model, or show the provider's page or the menu."""
        async with answering(_CHAT, partial(_say, interaction)):
            await interaction.response.defer(ephemeral=True)
            if not await self._desk.is_allowed(interaction):
                await _say(interaction, NOT_AUTHORISED)
                return
            listing = await self._desk.listing(interaction)
            await _show(interaction, await self._command(interaction, listing, _given(provider), _given(model)))

    @models.autocomplete("provider")
    async def _complete_provider(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await self._choices(
            interaction, lambda listing, instance: pages.autocomplete_providers(listing, instance, typed)
        )

    @models.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        provider = _given(interaction.namespace.provider)
        return await self._choices(
            interaction, lambda listing, instance: pages.autocomplete(listing, instance, typed, provider=provider)
        )

    @commands.Cog.listener("on_interaction")
    async def on_component(self, interaction: Interaction) -> None:
        """Acknowledge a button or a select of ours, whoever sent its message, and show or do what it stands for."""
        pressed = _pressed(interaction)
        if pressed is None:
            return
        async with answering(_CHAT, partial(_say, interaction)):
            await interaction.response.defer()
            if await self._desk.is_allowed(interaction):
                await _show(interaction, await self._desk.press(interaction, pressed))
            else:
                await _say(interaction, NOT_AUTHORISED)

    async def _command(
        self, interaction: Interaction, listing: Listing, provider: str, model: str
    ) -> Answer[DiscordPage] | None:
        instance, desk = self._supervisor.instance_id, self._desk
        target = pages.answer_provider(listing, instance, provider) if provider else ShowProviders()
        if not model:
            return await desk.follow(interaction, listing, target)
        found = pages.answer_choice(listing, instance, model)
        if isinstance(found, Unknown) and isinstance(target, ShowModels):
            found = pages.answer_choice(listing, instance, f"{target.provider}/{model}")
        if not isinstance(found, Unknown):
            return await desk.follow(interaction, listing, found)
        offer = target if isinstance(target, ShowModels) else _page_of(listing, model)
        # before the first answers nobody can tell
        lead = "" if desk.hint(listing) else f"Unknown model: {keep_start(label(model), MAX_ECHO)}"
        return await desk.show(interaction, listing, offer, lead)

    async def _choices(self, interaction: Interaction, complete: Complete) -> list[app_commands.Choice[str]]:
        """Return what to offer, at once: what is known, and a choice that says so when that can't be all."""
        try:
            async with asyncio.timeout(HOOKS_S):
                if not await self._desk.is_allowed(interaction):
                    return []
                listing = await self._desk.listing(interaction)
            hint = self._desk.hint(listing)
            known = () if self._desk.is_nobodys(listing) else complete(listing, self._supervisor.instance_id)
            found = [app_commands.Choice(name=one.name, value=one.value) for one in known]
        except TimeoutError:
            found, hint = [], SLOW_TEXT
        except Exception as error:  # a hook's: others' code, as in `answering`
            log_failure(_CHAT, error)
            found, hint = [], FAILED_TEXT
        if not hint:
            return found
        return [app_commands.Choice(name=keep_start(hint, pages.MAX_TEXT), value=HINT_VALUE), *found][
            : pages.MAX_CHOICES
        ]


def _given(value: str | None) -> str:
    """Return an option's value; empty when there is none, or just the hint."""
    return "" if value is None or value == HINT_VALUE else value.strip()


def _page_of(listing: Listing, model: str) -> ShowModels | ShowProviders:
    """Return the page of the provider that a typed model begins with, if it has models."""
    found = find_provider(providers_of(listing), model.partition("/")[0])
    return ShowModels(found.provider) if found is not None else ShowProviders()


def _pressed(interaction: Interaction) -> str | None:
    """Return what a component of ours stands for; None for anything else."""
    data: Any = interaction.data
    if interaction.type is not discord.InteractionType.component or not data:
        return None
    custom_id = data.get("custom_id", "")
    if not custom_id.startswith(pages.SURFACE.prefix):
        return None
    values = data.get("values") if data.get("component_type") == _SELECT else [custom_id]
    return str(values[0]) if values else None


async def _show(interaction: Interaction, answer: Answer[DiscordPage] | None) -> None:
    """Put an answer in place of the message that the interaction was acknowledged with, or came from."""
    if answer is None:
        return
    if isinstance(answer, Shown):
        text, view = above(answer.lead, answer.page.reply.full_text, pages.MAX_CONTENT), _view(answer.page)
    else:
        text, view = answer.text, None
    await interaction.edit_original_response(
        content=above("", discord.utils.escape_markdown(text), pages.MAX_CONTENT),
        view=view,
        allowed_mentions=discord.AllowedMentions.none(),
    )


def _view(page: DiscordPage) -> discord.ui.View | None:
    """Return a page's components. Discord's library is not to keep them: the cog's listener hears of them."""
    if page.select is None and not page.buttons:
        return None
    view = discord.ui.View(timeout=None)
    if page.select is not None:
        options = [
            discord.SelectOption(
                label=one.label, value=one.value, description=one.description or None, default=one.default
            )
            for one in page.select.options
        ]
        view.add_item(
            discord.ui.Select(
                custom_id=page.select.custom_id, placeholder=page.select.placeholder, options=options, row=0
            )
        )
    for button in page.buttons:
        view.add_item(discord.ui.Button(label=button.label, custom_id=button.custom_id, row=1))
    view.stop()  # a view that goes on is kept for as long as the process lives, and would be asked for each press, too
    return view


async def _say(interaction: Interaction, text: str) -> None:
    """Send a line that only the asker sees; the first one after the command's acknowledgement takes its place."""
    await interaction.followup.send(text, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())
