"""The cog on discord.py's own bot: interactions as the gateway delivers them, everything but the sending real."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from homes import Home, Supervise, api_key, eventually

pytest.importorskip("discord", reason="discord.py isn't installed: the extra `discord`")

from discord_edge import DiscordChat, button_of, select_of, talk

from openclaw_actors.chats import discord_cog
from openclaw_actors.chats.desk import FAILED_TEXT, NO_AGENT_TEXT, NOT_WARMED_TEXT
from openclaw_actors.chats.discord_cog import HINT_VALUE, SLOW_TEXT, ModelsCog
from openclaw_actors.home.files import read_regular
from openclaw_actors.listing.chat import NOT_AUTHORISED
from openclaw_actors.pickers.targets import STALE_TEXT
from openclaw_actors.testing import HomeFiles, SteppedSupervisor, custom
from openclaw_actors.testing.pytest_plugin import MakeSteppedSupervisor

ROOT = Path(__file__).parents[2]
AGENTS = 300
TYPED = 200


@pytest.fixture
def warm(openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor) -> SteppedSupervisor:
    """Return a supervisor that is warm, on a home where groq and openai have keys."""
    openclaw_home.write_profiles(groq__work=api_key("groq"), openai__work=api_key("openai"))
    return stepped_supervisor.warm()


def test_the_command_acknowledges_before_anything_else(warm: SteppedSupervisor) -> None:
    """The embedder's hooks are called when Discord has its acknowledgement; the answer takes the place of it."""
    order: list[object] = []

    async def agent_of(interaction: Any) -> None:
        order.append(("agent_of", interaction.user.name, interaction.response.is_done()))

    async def conversation(chat: DiscordChat) -> None:
        chat.wire.on_send = lambda: order.append("sent")
        acknowledged, menu = await chat.command()
        assert acknowledged == {"type": 5, "data": {"flags": 64}}
        assert menu["content"].startswith("Select a provider:")
        assert order == ["sent", ("agent_of", "somebody", True), "sent"]

    talk(lambda: ModelsCog(warm, agent_of=agent_of), conversation)


def test_a_model_is_chosen_through_the_pages(warm: SteppedSupervisor) -> None:
    """Menu, provider, next page, back, model: each by the token that the page before it showed."""
    chosen: list[tuple[str, str]] = []

    async def on_chosen(model: str, agent: str, interaction: Any) -> None:
        assert interaction.response.is_done()
        chosen.append((model, agent))

    async def conversation(chat: DiscordChat) -> None:
        _, menu = await chat.command()
        providers = select_of(menu)
        groq = next(one for one in providers["options"] if one["label"].startswith("groq"))
        acknowledged, models = await chat.select(providers["custom_id"], groq["value"])
        assert acknowledged == {"type": 6}
        assert models["content"].startswith("Models (groq · 🔑 api-key (groq:work))")
        _, back = await chat.press(button_of(models, "Back"))
        assert back["components"] == menu["components"]

        option = select_of(models)["options"][0]
        _, said = await chat.select(select_of(models)["custom_id"], option["value"])
        assert said["content"] == f"Model chosen: groq/{option['label']}"
        assert said["components"] == []
        assert chosen == [(f"groq/{option['label']}", "main")]
        assert not chat.bot.persistent_views

    talk(lambda: ModelsCog(warm, on_chosen=on_chosen, current_of=lambda agent, _: "groq/gemma2-9b-it"), conversation)


def test_completion_offers_providers_and_models_and_the_command_takes_them(warm: SteppedSupervisor) -> None:
    """What was offered is chosen, a part of an id with its provider too; anything else says so and shows a page."""

    async def conversation(chat: DiscordChat) -> None:
        (groq,) = await chat.type("provider", "gro")
        assert groq["value"] == "groq"
        offered = await chat.type("model", "gemma", provider="groq")
        assert [one["value"] for one in offered] == ["groq/gemma2-9b-it"]
        assert all(one["value"].startswith("openai/") for one in await chat.type("model", "", provider="openai"))

        _, page = await chat.command(provider="groq")
        assert page["content"].startswith("Models (groq")
        for options in ({"model": "groq/gemma2-9b-it"}, {"provider": "groq", "model": "gemma2-9b-it"}):
            _, said = await chat.command(**options)
            assert said["content"] == "Model chosen: groq/gemma2-9b-it"
        _, unknown = await chat.command(model="groq/@everyone")
        assert unknown["content"].startswith("Unknown model: groq/@everyone\n\nModels (groq")
        assert unknown["allowed_mentions"] == {"parse": []}
        _, unknown = await chat.command(provider="nobody")
        assert "Unknown provider: nobody" in unknown["content"]

    talk(lambda: ModelsCog(warm), conversation)


def test_a_button_of_before_a_change_chooses_nothing(warm: SteppedSupervisor) -> None:
    """It says so, and the message shows the page as it is now."""
    chosen: list[str] = []

    async def conversation(chat: DiscordChat) -> None:
        _, models = await chat.command(provider="groq")
        old = select_of(models)
        warm.report_failure("openai:work", "auth")
        warm.run_until_idle()
        _, now = await chat.select(old["custom_id"], old["options"][0]["value"])
        assert now["content"].startswith(STALE_TEXT)
        assert not chosen
        fresh = select_of(now)
        assert [one["label"] for one in fresh["options"]] == [one["label"] for one in old["options"]]
        await chat.select(fresh["custom_id"], fresh["options"][0]["value"])
        assert chosen == [f"groq/{fresh['options'][0]['label']}"]

    async def on_chosen(model: str, agent: str, interaction: Any) -> str:
        chosen.append(model)
        return "done"

    talk(lambda: ModelsCog(warm, on_chosen=on_chosen), conversation)


def test_a_new_process_answers_the_menus_of_the_one_before(
    warm: SteppedSupervisor, make_stepped_supervisor: MakeSteppedSupervisor
) -> None:
    """Another bot with another supervisor, which has never sent the message, shows the page as it is for itself."""
    before: list[dict[str, Any]] = []

    async def first(chat: DiscordChat) -> None:
        before.extend(await chat.command(provider="groq"))

    async def second(chat: DiscordChat) -> None:
        old = select_of(before[1])
        acknowledged, now = await chat.select(old["custom_id"], old["options"][0]["value"])
        assert acknowledged == {"type": 6}
        assert now["content"].startswith(STALE_TEXT)
        _, said = await chat.select(select_of(now)["custom_id"], select_of(now)["options"][0]["value"])
        assert said["content"].startswith("Model chosen: groq/")
        _, menu = await chat.press(button_of(before[1], "Back"))
        assert menu["content"].startswith(STALE_TEXT)

    talk(lambda: ModelsCog(warm), first)
    talk(lambda: ModelsCog(make_stepped_supervisor(instance_id="another").warm()), second)


def test_components_of_others_are_left_alone(warm: SteppedSupervisor) -> None:
    """What isn't ours isn't acknowledged by us; what only looks like ours says so and shows the menu."""

    async def conversation(chat: DiscordChat) -> None:
        assert await chat.press("somebody-elses") == []
        _, menu = await chat.press("mdlpk_made-up")
        assert menu["content"].startswith("This button is not known here.")
        assert select_of(menu)["options"]

    talk(lambda: ModelsCog(warm), conversation)


def test_a_thousand_models_keep_to_the_limits(openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor) -> None:
    """Every page and every completion is what Discord takes, whatever the ids; it is looked at as it is sent."""
    models = [{"id": f"{'long-' * 30}{number}*_~`é👩🏽"} for number in range(1_000)]
    openclaw_home.write_providers(acme=custom(models=models), **{f"p{n:03}": custom(f"p{n}") for n in range(60)})
    stepped_supervisor.warm()

    async def conversation(chat: DiscordChat) -> None:
        assert len(await chat.type("provider", "")) == 25
        offered = await chat.type("model", "", provider="acme")
        assert len(offered) == 25
        _, said = await chat.command(model=offered[3]["value"])
        assert said["content"].startswith("Model chosen: acme/")

        seen: set[str] = set()
        bodies = await chat.command(provider="acme")
        for number in range(1, 41):
            select = select_of(bodies[1])
            assert f"({number}/40)" in select["placeholder"]
            seen.update(option["value"] for option in select["options"])
            if number < 40:
                bodies = await chat.press(button_of(bodies[1], "Next"))
        assert len(seen) == 1_000
        _, menu = await chat.command()
        assert len(select_of(menu)["options"]) == 25
        await chat.press(button_of(menu, "Next"))

    talk(lambda: ModelsCog(stepped_supervisor), conversation)


def test_what_is_set_up_and_unusable_shows_with_its_reason(
    openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor
) -> None:
    """A configured model stays in the menus when its key is refused, and choosing it says why it can't be used."""
    openclaw_home.write_providers(acme=custom())
    stepped_supervisor.warm().report_failure("config:acme", "auth")
    stepped_supervisor.run_until_idle()

    async def conversation(chat: DiscordChat) -> None:
        (acme,) = await chat.type("provider", "acme")
        assert "rejected" in acme["name"]
        _, page = await chat.command(provider="acme")
        assert "rejected" in page["content"]
        assert "rejected" in select_of(page)["options"][0]["description"]
        _, said = await chat.command(model="acme/acme-1")
        assert "It can't be used now: rejected" in said["content"]

    talk(lambda: ModelsCog(stepped_supervisor), conversation)


def test_whoever_may_not_use_it_learns_nothing(warm: SteppedSupervisor) -> None:
    """The command and a press say so, a completion is empty; no agent is asked for."""
    asked: list[object] = []

    async def conversation(chat: DiscordChat) -> None:
        assert await chat.type("model", "groq") == []
        assert [body.get("content") for body in await chat.command()] == [None, NOT_AUTHORISED]
        assert [body.get("content") for body in await chat.press("mdlpk_x")] == [None, NOT_AUTHORISED]
        assert asked == []

    talk(lambda: ModelsCog(warm, allowed=lambda _: False, agent_of=asked.append), conversation)


@pytest.mark.parametrize("hook", ["agent_of", "allowed", "on_chosen", "current_of"])
def test_a_hook_that_fails_is_answered_with_one_line(warm: SteppedSupervisor, hook: str, log_lines: list[str]) -> None:
    """The log has the kind and the place, and not the text, which may hold anything."""

    def fail(*_arguments: object) -> Any:
        raise RuntimeError("canary-of-a-hook")

    async def conversation(chat: DiscordChat) -> None:
        options = {"model": "groq/gemma2-9b-it"} if hook == "on_chosen" else {}
        _, said = await chat.command(**options)
        assert said["content"] == FAILED_TEXT
        assert said["flags"] == 64

    talk(lambda: ModelsCog(warm, **{hook: fail}), conversation)  # type: ignore[arg-type]  # each takes its own
    (line,) = [line for line in log_lines if "a chat handler failed" in line]
    assert "RuntimeError" in line
    assert "fail" in line


def test_a_network_that_fails_is_logged_without_the_address(warm: SteppedSupervisor, log_lines: list[str]) -> None:
    """An answer that can't be sent ends there; the token of the interaction, which is in its address, isn't shown."""

    async def conversation(chat: DiscordChat) -> None:
        chat.wire.refuse = lambda path: "callback" not in path
        assert len(await chat.command()) == 1

    talk(lambda: ModelsCog(warm), conversation)
    assert len([line for line in log_lines if "a chat handler failed" in line]) == 2


def test_a_hook_that_takes_too_long_does_not_hold_up_completion(
    warm: SteppedSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up, and a choice says why there are no others; the command itself waits for it."""
    monkeypatch.setattr(discord_cog, "HOOKS_S", 0.01)
    go_on: list[asyncio.Event] = []

    async def agent_of(_: Any) -> str:
        go_on.append(asyncio.Event())
        await go_on[-1].wait()
        return "main"

    async def conversation(chat: DiscordChat) -> None:
        assert await chat.type("model", "gem") == [{"name": SLOW_TEXT, "value": HINT_VALUE}]

    talk(lambda: ModelsCog(warm, agent_of=agent_of), conversation)
    assert len(go_on) == 1


def test_completion_goes_on_while_hundreds_of_agents_warm(
    home: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is answered while the disk holds up the warm of one agent's store: with what is known by then, and a hint
    for an agent of which nothing is. None of the answers can have waited for the warm: it can't end before them.
    """
    reached, go_on = threading.Event(), threading.Event()
    held = str(home.profiles_path("agent-0"))

    def read(path: str, *arguments: Any, **named: Any) -> Any:
        if str(path) == held:
            reached.set()
            go_on.wait(50)
        return read_regular(path, *arguments, **named)

    monkeypatch.setattr("openclaw_actors.home.stores.json_files.read_regular", read)
    home.agents("main", *(f"agent-{number}" for number in range(AGENTS))).write_config()
    home.write_profiles(groq__work=api_key("groq"))
    for number in range(AGENTS):
        home.write_profiles(f"agent-{number}", openai__own=api_key("openai", str(number)))
    supervisor = supervise(home, warm=False, source_deadline_s=45.0)
    agent = ["agent-0"]

    async def conversation(chat: DiscordChat) -> None:
        hinted = 0
        for number in range(TYPED):
            agent[0] = f"agent-{number}" if number % 2 else "agent-0"
            choices = await chat.type("model", "g")
            hinted += choices[0] == {"name": NOT_WARMED_TEXT, "value": HINT_VALUE}
            assert not supervisor.wait_warm(0)
        assert hinted >= TYPED // 2
        _, said = await chat.command()
        assert NOT_WARMED_TEXT in said["content"] or said["components"]
        assert not supervisor.wait_warm(0)

        # by and by the others are there, with the warm still held up
        assert reached.wait(20)
        assert eventually(lambda: supervisor.snapshot("agent-299").revision, 30.0)
        agent[0] = "agent-299"
        assert any(one["value"].startswith("groq/") for one in await chat.type("model", "g"))
        agent[0] = "agent-0"
        assert (await chat.type("model", "g"))[0]["value"] == HINT_VALUE
        _, menu = await chat.command(model=HINT_VALUE)
        assert NOT_WARMED_TEXT in menu["content"]
        assert not supervisor.wait_warm(0)

    try:
        talk(lambda: ModelsCog(supervisor, agent_of=lambda _: agent[0]), conversation)
    finally:
        go_on.set()
    assert supervisor.wait_warm(20)


def test_an_agent_that_is_not_configured_is_said(warm: SteppedSupervisor) -> None:
    """The embedder finds out in the chat, and no other agent's models are shown."""

    async def conversation(chat: DiscordChat) -> None:
        assert await chat.type("model", "g") == [{"name": NO_AGENT_TEXT, "value": HINT_VALUE}]
        assert (await chat.command())[1]["content"] == NO_AGENT_TEXT

    talk(lambda: ModelsCog(warm, agent_of=lambda _: "nobody"), conversation)


def test_the_example_of_the_readme_runs(warm: SteppedSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pasted makes a bot that answers."""
    (example,) = re.findall(
        r"```python\n(# discord_bot\.py\n.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    names: dict[str, Any] = {"__name__": "discord_bot", "supervisor": warm}
    exec(example, names)  # noqa: S102  # our own README
    told: list[Any] = []

    async def upsert(application_id: int, payload: list[dict[str, Any]]) -> list[Any]:
        told.extend(payload)
        return []

    async def conversation(chat: DiscordChat) -> None:
        chat.bot._connection.application_id = 42
        monkeypatch.setattr(chat.bot.http, "bulk_upsert_global_commands", upsert)
        await chat.bot.setup_hook()
        (command,) = told
        assert command["name"] == "models"
        assert 1 <= len(command["description"]) <= 100
        assert {(one["name"], one["required"], one["autocomplete"]) for one in command["options"]} == {
            ("provider", False, True),
            ("model", False, True),
        }
        _, said = await chat.command(model="groq/gemma2-9b-it")
        assert said["content"] == "main runs on groq/gemma2-9b-it now."

    talk(None, conversation, make_bot=names["Bot"])
