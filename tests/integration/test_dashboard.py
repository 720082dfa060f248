"""The dashboard in a real Chromium, of a real gateway on real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from browsers import Tab, chromium
from gateways import ADMIN, READ, Gateway, serving
from homes import Home, Supervise, api_key, eventually, secret

from openclaw_actors import AuthSupervisor, Settings

MakeTab = Callable[..., Tab]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Return a function that starts a supervisor on a home.

    They are stopped on another thread: playwright keeps an event loop on this one, which `stop` refuses to block.
    """
    started: list[AuthSupervisor] = []

    def start(home: Home, *, warm: bool = True, **settings: Any) -> AuthSupervisor:
        supervisor = AuthSupervisor(home.path, env=home.env, settings=Settings(**settings)).start()
        started.append(supervisor)
        assert not warm or supervisor.wait_warm(10.0), supervisor.health()
        return supervisor

    yield start
    with ThreadPoolExecutor(1) as elsewhere:
        for supervisor in started:
            elsewhere.submit(supervisor.stop).result(10.0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return one browser for all tests of a worker."""
    with chromium() as found:
        yield found


@pytest.fixture
def tab(browser: Any) -> Iterator[MakeTab]:
    """Return a function that makes a tab of its own session; in the end nothing may have gone wrong in any."""
    made: list[Tab] = []

    def make(**options: Any) -> Tab:
        made.append(Tab(browser, **options))
        return made[-1]

    yield make
    wrong = [text for one in made for text in one.wrong]
    for one in made:
        one.context.close()
    assert wrong == []


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with two agents and a few providers."""
    home.agents("main", "ops").write_config()
    return home.write_profiles(zai__work=api_key("zai"), groq__me=api_key("groq"))


@pytest.fixture
def gateway(small: Home, supervise: Supervise) -> Iterator[Gateway]:
    """Return a gateway of that home."""
    with serving(supervise(small)) as served:
        yield served


def test_a_credential_edited_on_disk_turns_its_cell_green_without_a_reload(
    gateway: Gateway, small: Home, tab: MakeTab
) -> None:
    """The row of a provider that nobody had set up appears, too; all of it in the page that was there."""
    bad = {"type": "api_key", "provider": "mistral"}
    small.write_profiles(mistral__me=bad)
    assert eventually(lambda: gateway.supervisor.verdict("mistral").state == "malformed")
    page = tab().open(gateway.url)
    page.wait_for_state("ops", "mistral", "malformed")
    page.page.evaluate("window.marked = 1")
    red, green, _ = page.colour("ops", "mistral")
    assert red >= green
    small.write_profiles(mistral__me=api_key("mistral"), xai__me=api_key("xai"))
    page.wait_for_state("ops", "mistral", "usable")
    page.wait_for_state("main", "xai", "usable")
    red, green, blue = page.colour("ops", "mistral")
    assert green > red
    assert green > blue
    assert page.page.evaluate("window.marked") == 1
    page.wait_for_text("#panel", "mistral for ops")


def test_a_choice_shows_why_and_its_time_line_goes_on(gateway: Gateway, small: Home, tab: MakeTab) -> None:
    """Reason, next step, evidence and what it shadows; a refusal that comes meanwhile shows, with its cause."""
    small.write_profiles(zai__work=api_key("zai"), zai__home=api_key("zai", "home"))
    assert eventually(lambda: gateway.supervisor.verdict("zai").shadowed)
    page = tab().open(gateway.url)
    page.cell("main", "zai").click()
    page.wait_for_text("#panel h2", "zai")
    page.wait_for_text("#panel .evidence code", "zai:home")
    page.wait_for_text("#panel h3", "Shadowed")
    for evidence in ("zai:work", "zai:home"):
        assert gateway.send("/auth/main/zai/failures?wait=5", {"evidence": evidence, "reason": "auth"}).is_success
    page.wait_for_text("#panel .state", "rejected")
    page.wait_for_text("#panel .next", "Next step")
    page.wait_for_text("#panel .line", "failure-reported")
    page.wait_for_state("ops", "zai", "rejected")
    page.page.keyboard.press("Escape")
    page.wait_for_text("#panel h2", "Latest changes")
    page.wait_for_text("#panel .line", "zai for ops")


def test_it_is_used_by_keyboard_alone(gateway: Gateway, tab: MakeTab) -> None:
    """Arrows go about, Enter says why, Escape comes back to the cell; letters reach the filters."""
    page = tab().open(gateway.url)
    keyboard = page.page.keyboard
    keyboard.press("ArrowDown")  # from wherever one is
    focused = "document.activeElement.getAttribute('aria-label')"
    first = page.page.evaluate(focused)
    keyboard.press("ArrowDown")
    keyboard.press("ArrowRight")
    second = page.page.evaluate(focused)
    assert second != first
    assert second.startswith("ops, ")
    keyboard.press("Enter")
    page.wait_for_text("#panel h2", "for ops")
    keyboard.press("Escape")
    page.wait_for_text("#panel h2", "Latest changes")
    assert page.page.evaluate(focused) == second
    keyboard.press("Control+End")
    assert page.page.evaluate(focused).startswith("ops, ")
    keyboard.press("/")
    assert page.page.evaluate("document.activeElement.id") == "find-provider"
    keyboard.type("groq")
    page.wait_for_count("#grid td[data-row]", 2)
    keyboard.press("Escape")
    assert page.page.evaluate(focused).startswith("ops, groq"), "back in the grid"
    keyboard.press("ArrowLeft")
    assert page.page.evaluate(focused).startswith("main, groq")
    keyboard.press("?")
    assert page.page.locator("#keys-dialog").is_visible()
    keyboard.press("Escape")


def test_filters_are_in_the_address_and_survive_being_passed_on(gateway: Gateway, tab: MakeTab) -> None:
    """States, names and the chosen cell; what nobody set up shows on request."""
    assert gateway.send("/auth/main/groq/failures?wait=5", {"evidence": "groq:me", "reason": "billing"}).is_success
    page = tab().open(gateway.url)
    page.page.locator('#legend [data-state="disabled"]').click()
    page.wait_for_count("#grid tbody th", 1)
    page.page.fill("#find-agent", "ops")
    page.wait_for_count("#grid td[data-row]", 1)
    page.cell("ops", "groq").click()
    page.wait_for_text("#panel .state", "disabled")
    again = tab().open(page.page.url)
    again.wait_for_text("#panel .state", "disabled")
    assert again.page.locator("#grid td[data-row]").count() == 1
    again.page.locator('#legend [data-state="disabled"]').click()
    again.page.locator("#everything").check()
    again.page.locator("#grid tbody th").nth(20).wait_for()
    again.page.fill("#find-provider", "no such provider")
    again.wait_for_text("#message", "Nothing is left")


def test_looking_again_needs_the_admin_token_which_stays_in_the_tab(
    gateway: Gateway, tab: MakeTab, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong token is refused and asked for again; the right one is kept neither in the page nor beyond the tab."""
    page = tab().open(gateway.url, "#cell=main+zai")
    page.page.get_by_role("button", name="Look again").click()
    page.page.locator("#token-dialog").wait_for()
    page.page.fill("#token", "wrong-token-0000000000")
    page.page.keyboard.press("Enter")
    page.wait_for_text("#token-why", "none of this gateway's")
    assert page.page.evaluate("sessionStorage.length") == 0, "a token that isn't taken is not kept"
    page.page.fill("#token", "“☃☃☃”")
    page.page.keyboard.press("Enter")
    page.wait_for_text("#token-why", "plain letters")
    page.page.fill("#token", f"admin {ADMIN}")  # the whole line of the file
    page.page.keyboard.press("Enter")
    page.wait_for_text("#panel .actions", "looked again")
    assert gateway.supervisor.stats().warms >= 2
    assert ADMIN not in page.page.content()
    assert ADMIN not in page.page.url
    assert page.page.evaluate("JSON.stringify(Object.entries(localStorage))").count(ADMIN) == 0
    assert ADMIN not in "".join(capfd.readouterr())


def test_a_token_of_another_gateway_locks_nobody_out(gateway: Gateway, tab: MakeTab) -> None:
    """A tab may be older than the tokens; where reading is open it goes on without one."""
    page = tab().open(gateway.url)
    page.page.evaluate("sessionStorage.setItem('openclaw_actors.token', 'of-a-former-gateway-000')")
    page.page.reload()
    page.wait_for_state("main", "zai", "usable")
    page.wait_for_text("#link", "live")


def test_what_changes_while_the_matrix_is_loaded_shows(home: Home, supervise: Supervise, tab: MakeTab) -> None:
    """The stream has gone past it by then: it is applied to what was loaded."""
    home.write_config().write_profiles(zai__work=api_key("zai"))
    with serving(supervise(home)) as gateway:
        page = tab().open(gateway.url)
        page.wait_for_text("#link", "live")
        held: list[Any] = []
        page.page.route("**/matrix", lambda route: held.append((route, route.fetch())))  # as it is now
        # a provider that the page doesn't know has it load the matrix anew, once
        acme = {"baseUrl": "https://acme.test/v1", "apiKey": secret("acme"), "models": [{"id": "anvil"}]}
        home.write_config(models={"providers": {"acme": acme}})
        assert eventually(lambda: page.page.evaluate("1") and held)
        assert gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": "auth"}).is_success
        page.wait_for_text("#panel .line", "zai for main")
        route, answer = held[0]
        route.fulfill(response=answer)
        page.wait_for_state("main", "acme", "usable")
        page.wait_for_state("main", "zai", "rejected")
        assert len(held) == 1


def test_answers_that_came_between_the_matrix_and_the_stream_show(gateway: Gateway, tab: MakeTab) -> None:
    """The first answers of an agent are no changes: a page that was opened a moment before them finds them out."""
    page = tab()

    def before_the_warm(route: Any) -> None:
        answer = route.fetch()
        agents = [{**one, "revision": 0, "table": -1} for one in answer.json()["agents"]]
        route.fulfill(response=answer, json={**answer.json(), "agents": agents, "tables": [], "providers": []})

    page.page.route("**/matrix", before_the_warm, times=1)
    page.page.goto(gateway.url)
    page.wait_for_state("ops", "zai", "usable")


def test_where_reading_needs_a_token_the_page_asks_for_it(small: Home, supervise: Supervise, tab: MakeTab) -> None:
    """The page itself holds no answers; with the reading token it shows them, and goes on live."""
    with serving(supervise(small), open_reads=False) as gateway:
        page = tab()
        page.page.goto(gateway.url)
        page.page.locator("#token-dialog").wait_for()
        assert "zai" not in page.page.content()
        page.page.fill("#token", READ)
        page.page.keyboard.press("Enter")
        page.wait_for_state("main", "zai", "usable")
        page.wait_for_text("#link", "live")
        small.write_profiles(zai__work=api_key("zai"), groq__me=api_key("groq"), xai__me=api_key("xai"))
        page.wait_for_state("main", "xai", "usable")


def test_what_a_home_says_is_never_markup(gateway: Gateway, small: Home, tab: MakeTab) -> None:
    """Profile ids and paths come from files that others may write; a script in them is text."""
    name = 'zai:<img src=x onerror="alert(1)"><script>alert(2)</script>'
    small.write_profiles(**{name.replace(":", "__", 1): api_key("zai")})
    assert eventually(lambda: "<img" in str(gateway.supervisor.verdict("zai").evidence))
    page = tab().open(gateway.url, "#cell=main+zai")
    page.wait_for_text("#panel .evidence code", "<img")
    assert page.page.locator("#panel img, #panel script").count() == 0
    page.page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert page.page.evaluate("window.ran") is None
    assert "Content Security Policy" in page.wrong.pop()


def test_it_comes_back_by_itself_after_the_gateway_was_away(small: Home, supervise: Supervise, tab: MakeTab) -> None:
    """It says so meanwhile, and shows the new process's answers, also for agents that are new."""
    with serving(supervise(small)) as first:
        page = tab().open(first.url)
        page.wait_for_text("#link", "live")
        port = int(first.url.rpartition(":")[2])
    page.wait_for_text("#link", "no answer")
    page.wait_for_state("main", "zai", "usable")
    small.agents("main", "ops", "lab").write_config()
    with serving(supervise(small), port=port):
        page.wait_for_text("#link", "live")
        page.wait_for_state("lab", "zai", "usable")


def test_a_config_that_is_mended_fills_the_page(home: Home, supervise: Supervise, tab: MakeTab) -> None:
    """Before it nobody is known, which is said with what is wrong; agents appear without a reload."""
    home.agents("main", "ops")
    home.config_path.write_text("{")
    with serving(supervise(home, warm=False)) as gateway:
        page = tab()
        page.page.goto(gateway.url)
        page.wait_for_text("#message", "No agent is known")
        page.wait_for_text("#health", "not well")
        page.page.locator("#health").click()
        page.wait_for_text("#wrong", "ConfigValid")
        home.write_profiles(zai__work=api_key("zai")).write_config()
        page.wait_for_state("ops", "zai", "usable")
        page.wait_for_text("#warm", "2 of 2 agents")


def test_a_thousand_agents_are_a_few_dozen_rows(home: Home, supervise: Supervise, tab: MakeTab) -> None:
    """Only what can be seen is in the page; the last agent is one key away, and a change far below shows there."""
    names = ["main", *(f"agent-{number:04}" for number in range(999))]
    home.agents(*names).write_config().write_profiles(zai__work=api_key("zai"))
    with serving(supervise(home)) as gateway:
        page = tab().open(gateway.url)
        assert page.page.locator("#grid tbody tr").count() < 80
        assert page.page.get_attribute("#grid", "aria-rowcount") == "1001"
        page.page.locator('#grid td[tabindex="0"]').focus()
        page.page.keyboard.press("Control+End")
        page.cell("agent-0998", "zai").wait_for()
        assert gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": "auth"}).is_success
        page.wait_for_state("agent-0998", "zai", "rejected")
        page.page.locator("#flip").click()
        page.wait_for_count("#grid thead th", 1001)


def test_on_a_phone_nothing_is_wider_than_the_screen(gateway: Gateway, browser: Any, tab: MakeTab) -> None:
    """The grid scrolls by itself, and an answer is a sheet that a thumb can close."""
    page = tab(is_mobile=True, has_touch=True)
    page.page.set_viewport_size({"width": 360, "height": 700})
    page.open(gateway.url)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    page.cell("ops", "zai").tap()
    page.wait_for_text("#panel .state", "usable")
    box = page.page.locator("#panel").bounding_box()
    assert box["width"] == 360
    assert box["y"] > 100
    close = page.page.get_by_role("button", name="Close").first
    assert close.bounding_box()["height"] >= 30
    close.tap()
    assert not page.page.locator("#panel").is_visible()


def test_colours_follow_the_system_until_one_is_chosen(gateway: Gateway, tab: MakeTab) -> None:
    """And what is chosen is kept."""
    page = tab(color_scheme="dark").open(gateway.url)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.page.evaluate(ground)
    page.page.emulate_media(color_scheme="light")
    assert page.page.evaluate(ground) != dark
    page.page.keyboard.press("t")
    page.page.keyboard.press("t")
    assert page.page.evaluate(ground) == dark
    page.page.reload()
    page.page.wait_for_selector("#grid td[data-row]")
    assert page.page.evaluate(ground) == dark
