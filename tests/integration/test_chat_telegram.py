"""The handlers of both libraries for Telegram on their own applications: updates as the Bot API delivers them,
everything but the sending real.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from homes import api_key
from telegram_edge import TOKEN, BotApi, buttons_of, pressed, pressed_inline, typed

from openclaw_actors.chats.desk import FAILED_TEXT, NOT_WARMED_TEXT
from openclaw_actors.listing.chat import NOT_AUTHORISED
from openclaw_actors.pickers.targets import STALE_TEXT
from openclaw_actors.testing import HomeFiles, SteppedSupervisor, custom
from openclaw_actors.testing.pytest_plugin import MakeSteppedSupervisor

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
_DEADLINE_S = 30.0

pytestmark = pytest.mark.timeout(180)  # the first import of aiogram takes long where the machine is busy

Calls = list[tuple[str, dict[str, Any]]]
Feed = Callable[[dict[str, Any]], Awaitable[Calls]]
"""Has an update come in, and returns what was called until all that it started was done."""
Conversation = Callable[[Feed, BotApi], Awaitable[None]]


class Talk(Protocol):
    """Has a conversation with a bot of its own, in one of the libraries."""

    def __call__(self, supervisor: Any, conversation: Conversation, /, **hooks: Any) -> None: ...


async def settled(before: set[asyncio.Task[Any]]) -> None:
    """Wait until no other task runs than those that ran before."""
    async with asyncio.timeout(_DEADLINE_S):
        while others := asyncio.all_tasks() - before:
            await asyncio.wait(others)


def talk_by_ptb(supervisor: Any, conversation: Conversation, /, install: Any = None, **hooks: Any) -> None:
    """python-telegram-bot: an application whose request class is ours."""
    from telegram import LinkPreviewOptions, Update
    from telegram.constants import ParseMode
    from telegram.ext import Application, Defaults
    from telegram.request import BaseRequest, RequestData

    from openclaw_actors.chats.telegram_handlers import model_handlers

    class Wire(BaseRequest):
        def __init__(self, api: BotApi) -> None:
            self.api = api

        @property
        def read_timeout(self) -> float | None:
            return None

        async def initialize(self) -> None: ...

        async def shutdown(self) -> None: ...

        async def do_request(
            self, url: str, method: str, request_data: RequestData | None = None, *_rest: Any, **_named: Any
        ) -> tuple[int, bytes]:
            return self.api.answer(url.rpartition("/")[2], request_data.parameters if request_data else {})

    async def live() -> None:
        api = BotApi()
        defaults = Defaults(parse_mode=ParseMode.HTML, link_preview_options=LinkPreviewOptions(is_disabled=False))
        builder = Application.builder().token(TOKEN).request(Wire(api)).get_updates_request(Wire(api))
        application = builder.defaults(defaults).updater(None).build()
        if install is not None:
            install(application)
        else:
            application.add_handlers(model_handlers(supervisor, **hooks))

        async def feed(update: dict[str, Any]) -> Calls:
            before = asyncio.all_tasks()
            await application.update_queue.put(Update.de_json(update, application.bot))
            async with asyncio.timeout(_DEADLINE_S):
                await application.update_queue.join()  # one update after the other, as it does by itself
            await settled(before)
            return api.take()

        async with application:
            await application.start()
            try:
                await conversation(feed, api)
            finally:
                await application.stop()

    asyncio.run(live())


def talk_by_aiogram(supervisor: Any, conversation: Conversation, /, install: Any = None, **hooks: Any) -> None:
    """aiogram: a dispatcher, and a bot whose session is ours."""
    from aiogram import Bot, Dispatcher
    from aiogram.client.default import DefaultBotProperties
    from aiogram.client.session.base import BaseSession
    from aiogram.types import Update

    from openclaw_actors.chats.aiogram_router import models_router

    class Wire(BaseSession):
        def __init__(self, api: BotApi) -> None:
            super().__init__()
            self.api = api

        async def close(self) -> None: ...

        async def stream_content(self, *_arguments: Any, **_named: Any) -> Any:
            raise NotImplementedError

        async def make_request(self, bot: Bot, method: Any, timeout: int | None = None) -> Any:  # noqa: ASYNC109  # theirs
            fields = {
                name: self.prepare_value(value, bot=bot, files={}, _dumps_json=False)
                for name, value in method.model_dump(warnings=False).items()
            }
            given = {name: value for name, value in fields.items() if value is not None}
            status, body = self.api.answer(method.__api_method__, given)
            return self.check_response(bot, method, status, body.decode()).result

    async def live() -> None:
        api = BotApi()
        bot = Bot(TOKEN, session=Wire(api), default=DefaultBotProperties(parse_mode="HTML"))
        dispatcher = Dispatcher()
        if install is not None:
            install(dispatcher)
        else:
            dispatcher.include_router(models_router(supervisor, **hooks))

        async def feed(update: dict[str, Any]) -> Calls:
            await dispatcher.feed_update(bot, Update.model_validate(update, context={"bot": bot}))
            return api.take()

        await conversation(feed, api)

    asyncio.run(live())


@pytest.fixture(params=["telegram", "aiogram"])
def talk(request: pytest.FixtureRequest) -> Talk:
    """Return how to talk with a bot, by each of the libraries."""
    pytest.importorskip(request.param, reason=f"its library isn't installed: the extra `{request.param}`")
    return {"telegram": talk_by_ptb, "aiogram": talk_by_aiogram}[request.param]


@pytest.fixture
def warm(openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor) -> SteppedSupervisor:
    """Return a supervisor that is warm, on a home where groq and openai have keys."""
    openclaw_home.write_profiles(groq__work=api_key("groq"), openai__work=api_key("openai"))
    return stepped_supervisor.warm()


def test_a_model_is_chosen_through_the_pages(warm: SteppedSupervisor, talk: Talk) -> None:
    """Menu, provider, next page, model: each press is acknowledged first, then its message becomes the next page."""
    chosen: list[tuple[str, str]] = []

    async def on_chosen(model: str, agent: str, event: Any) -> None:
        chosen.append((model, agent))

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((method, menu),) = await feed(typed("/models"))
        assert method == "sendMessage"
        assert menu["text"].startswith("Select a provider:")
        groq = next(data for text, data in buttons_of(menu).items() if text.startswith("groq"))
        (acknowledged, _), (method, page) = await feed(pressed(groq))
        assert (acknowledged, method) == ("answerCallbackQuery", "editMessageText")
        _, (_, page) = await feed(pressed(buttons_of(page)["Next ▶"]))
        assert page["text"].startswith("Models (groq · 🔑 api-key (groq:work))")
        marked = next(text for text in buttons_of(page) if text.endswith("✓"))
        _, (method, said) = await feed(pressed(buttons_of(page)[marked]))
        assert said["text"] == f"Model chosen: {current}"
        assert not said.get("reply_markup")
        assert chosen == [(current, "main")]

    current = f"groq/{[row.model for row in warm.models(provider='groq').rows][8]}"
    talk(warm, conversation, on_chosen=on_chosen, current_of=lambda agent, _: current)


def test_the_command_is_read_as_openclaw_reads_it(warm: SteppedSupervisor, talk: Talk) -> None:
    """With a provider, a page, `all`, and the bot's name in groups; another bot's is left to that one."""

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models@models_bot Groq 2"))
        assert page["text"].startswith("Models (groq")
        assert "2/3" in buttons_of(page)
        assert await feed(typed("/models@other_bot groq")) == []
        assert await feed(typed("models")) == []
        ((_, everything),) = await feed(typed("/models list anthropic all"))
        _, (_, again) = await feed(pressed(buttons_of(everything)["Next ▶"]))
        assert again["text"].startswith("Models (anthropic")
        ((_, unknown),) = await feed(typed("/models <b>nobody"))
        assert "Unknown provider: <b>nobody" in unknown["text"]
        ((_, added),) = await feed(typed("/models add"))
        assert "deprecated" in added["text"]

    talk(warm, conversation)


def test_the_same_page_again_is_no_failure(warm: SteppedSupervisor, talk: Talk, log_lines: list[str]) -> None:
    """Pressing the button that names the page leaves the message as it is; any other refusal is a failure."""

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models groq"))
        again = pressed(buttons_of(page)["1/3"])
        await feed(again)
        assert [method for method, _ in await feed(again)] == ["answerCallbackQuery", "editMessageText"]
        assert not [line for line in log_lines if "a chat handler failed" in line]

        api.refused["editMessageText"] = "Bad Request: message can't be edited canary-in-a-description"
        *_, (method, said) = await feed(again)
        assert (method, said["text"]) == ("sendMessage", FAILED_TEXT)
        assert len([line for line in log_lines if "a chat handler failed" in line]) == 1

    talk(warm, conversation)


def test_a_button_of_before_a_change_chooses_nothing(warm: SteppedSupervisor, talk: Talk) -> None:
    """It says so, and the message shows the page as it is now."""
    chosen: list[str] = []

    def on_chosen(model: str, agent: str, event: Any) -> str:
        chosen.append(model)
        return "done"

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models groq"))
        model, old = next(iter(buttons_of(page).items()))
        warm.report_failure("openai:work", "auth")
        warm.run_until_idle()
        _, (_, now) = await feed(pressed(old))
        assert now["text"].startswith(STALE_TEXT)
        assert chosen == []
        _, (_, said) = await feed(pressed(buttons_of(now)[model]))
        assert said["text"] == "done"
        assert chosen == [f"groq/{model}"]

    talk(warm, conversation, on_chosen=on_chosen)


def test_a_new_process_answers_the_menus_of_the_one_before(
    warm: SteppedSupervisor, talk: Talk, make_stepped_supervisor: MakeSteppedSupervisor
) -> None:
    """Another application with another supervisor shows the page as it is, in a new message if the old one is gone."""
    before: dict[str, str] = {}

    async def first(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models groq"))
        before.update(buttons_of(page))

    async def second(feed: Feed, api: BotApi) -> None:
        model, old = next(iter(before.items()))
        api.refused["answerCallbackQuery"] = "Bad Request: query is too old and response timeout expired"
        for accessible, expected in ((True, "editMessageText"), (False, "sendMessage")):
            _, (method, page) = await feed(pressed(old, accessible=accessible))
            assert method == expected
            assert page["text"].startswith(STALE_TEXT)
        _, (_, said) = await feed(pressed(buttons_of(page)[model]))
        assert said["text"] == f"Model chosen: groq/{model}"

    talk(warm, first)
    talk(make_stepped_supervisor(instance_id="another").warm(), second)


def test_buttons_of_others_are_left_alone(warm: SteppedSupervisor, talk: Talk) -> None:
    """What isn't ours isn't answered by us; what only looks like ours says so and shows the menu."""

    async def conversation(feed: Feed, api: BotApi) -> None:
        assert await feed(pressed("somebody-elses")) == []
        _, (_, menu) = await feed(pressed("mdl_made-up"))
        assert menu["text"].startswith("This button is not known here.")
        assert buttons_of(menu)
        _, (method, menu) = await feed(pressed_inline("mdl_made-up"))
        assert (method, menu["inline_message_id"]) == ("editMessageText", "inline-1")

    talk(warm, conversation)


def test_a_thousand_models_keep_to_the_limits(
    openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor, talk: Talk
) -> None:
    """Every page is what Telegram takes (held against its limits as it is sent), whatever the ids."""
    models = [{"id": f"{'long-' * 30}{number}<b>&amp;_*`é👩🏽"} for number in range(1_000)]
    openclaw_home.write_providers(acme=custom(models=models), **{f"p{n:03}": custom(f"p{n}") for n in range(60)})
    stepped_supervisor.warm()

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models acme"))
        seen = set()
        for number in range(1, 126):
            buttons = buttons_of(page)
            assert f"{number}/125" in buttons
            seen.update(data for text, data in buttons.items() if text.endswith("👩🏽"))
            if number < 125:
                _, (_, page) = await feed(pressed(buttons["Next ▶"]))
        assert len(seen) == 1_000
        _, (_, said) = await feed(pressed(seen.pop()))
        assert said["text"].startswith("Model chosen: acme/long-")
        ((_, menu),) = await feed(typed("/models"))
        assert len(buttons_of(menu)) > 50

    talk(stepped_supervisor, conversation)


def test_what_is_set_up_and_unusable_shows_with_its_reason(
    openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor, talk: Talk
) -> None:
    """A configured model stays in the menus when its key is refused, and choosing it says why it can't be used."""
    openclaw_home.write_providers(acme=custom())
    stepped_supervisor.warm().report_failure("config:acme", "auth")
    stepped_supervisor.run_until_idle()

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models acme"))
        assert "acme/acme-1: rejected" in page["text"]
        button = next(data for text, data in buttons_of(page).items() if "acme-1" in text)
        _, (_, said) = await feed(pressed(button))
        assert "It can't be used now: rejected" in said["text"]

    talk(stepped_supervisor, conversation)


def test_before_the_warm_it_says_so_at_once(
    openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor, talk: Talk
) -> None:
    """Nothing has moved yet, and nothing is waited for."""
    openclaw_home.write_profiles(groq__work=api_key("groq"))
    stepped_supervisor.start()

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, said),) = await feed(typed("/models"))
        assert said["text"] == NOT_WARMED_TEXT
        stepped_supervisor.warm()
        ((_, menu),) = await feed(typed("/models"))
        assert menu["text"].startswith("Select a provider:")

    talk(stepped_supervisor, conversation)


def test_whoever_may_not_use_it_learns_nothing(warm: SteppedSupervisor, talk: Talk) -> None:
    """The command says so; a press is acknowledged, and somebody else's menu stays as it is."""
    asked: list[object] = []

    async def conversation(feed: Feed, api: BotApi) -> None:
        assert [fields["text"] for _, fields in await feed(typed("/models"))] == [NOT_AUTHORISED]
        assert [method for method, _ in await feed(pressed("mdl_x"))] == ["answerCallbackQuery"]
        assert asked == []

    async def allowed(_: Any) -> bool:
        return False

    talk(warm, conversation, allowed=allowed, agent_of=asked.append)


@pytest.mark.parametrize("hook", ["agent_of", "allowed", "on_chosen", "current_of"])
def test_a_hook_that_fails_is_answered_with_one_line(
    warm: SteppedSupervisor, talk: Talk, hook: str, log_lines: list[str]
) -> None:
    """A press is acknowledged all the same, its menu stays; the log has the kind and the place, and not the text."""
    failing = [False]

    def fail(*_arguments: object) -> Any:
        if failing[0]:
            raise RuntimeError("canary-of-a-hook")
        return "main" if hook == "agent_of" else True if hook == "allowed" else ""

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models groq"))
        failing[0] = True
        button = "1/3" if hook == "current_of" else next(iter(buttons_of(page)))
        assert [(method, fields.get("text")) for method, fields in await feed(pressed(buttons_of(page)[button]))] == [
            ("answerCallbackQuery", None),
            ("sendMessage", FAILED_TEXT),
        ]

    talk(warm, conversation, **{hook: fail})
    (line,) = [line for line in log_lines if "a chat handler failed" in line]
    assert "RuntimeError" in line
    assert "fail" in line


def test_a_hook_that_takes_its_time_holds_up_nobody_else(warm: SteppedSupervisor, talk: Talk) -> None:
    """The press was acknowledged; the next update is answered before the hook is done."""

    async def conversation(feed: Feed, api: BotApi) -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def on_chosen(model: str, agent: str, event: Any) -> str:
            entered.set()
            await go_on.wait()
            return "done"

        hook.append(on_chosen)
        ((_, page),) = await feed(typed("/models groq"))
        press = asyncio.create_task(feed(pressed(next(iter(buttons_of(page).values())))))
        async with asyncio.timeout(_DEADLINE_S):
            await entered.wait()
        assert [method for method, _ in api.take()] == ["answerCallbackQuery"]
        assert [method for method, _ in await feed(typed("/models"))] == ["sendMessage"]
        go_on.set()
        assert [fields["text"] for _, fields in await press] == ["done"]

    hook: list[Any] = []
    talk(warm, conversation, on_chosen=lambda *arguments: hook[0](*arguments))


def test_a_hook_may_answer_by_itself(warm: SteppedSupervisor, talk: Talk) -> None:
    """An empty text says so: nothing is sent beside what it sends."""

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models groq"))
        calls = await feed(pressed(next(iter(buttons_of(page).values()))))
        assert [method for method, _ in calls] == ["answerCallbackQuery"]

    talk(warm, conversation, on_chosen=lambda *_: "")


@pytest.mark.parametrize(
    ("library", "file", "run"), [("telegram", "telegram_bot", talk_by_ptb), ("aiogram", "aiogram_bot", talk_by_aiogram)]
)
def test_the_examples_of_the_readme_run(warm: SteppedSupervisor, library: str, file: str, run: Any) -> None:
    """What is pasted makes a bot that answers."""
    pytest.importorskip(library)
    (example,) = re.findall(rf"```python\n(# {file}\.py\n.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {"__name__": file}
    exec(example, names)  # noqa: S102  # our own README

    async def conversation(feed: Feed, api: BotApi) -> None:
        ((_, page),) = await feed(typed("/models groq"))
        model, button = next(iter(buttons_of(page).items()))
        _, (_, said) = await feed(pressed(button))
        assert said["text"] == f"main runs on groq/{model} now."

    run(warm, conversation, install=lambda application: names["add_models"](application, warm))
