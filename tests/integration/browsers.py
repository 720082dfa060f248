"""A real Chromium without a window, for the length of a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

REQUIRED = "OPENCLAW_ACTORS_BROWSER"
"""Set to `required` where a missing browser is a failure, as in `.ci/run`; or to the path of one."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_MS = 15_000


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield the browser; without one the test is skipped with a reason, or fails where it is required."""
    wanted = os.environ.get(REQUIRED, "")
    path = wanted if os.path.isabs(wanted) else next(filter(None, map(shutil.which, _NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        text = "no Chromium, or no playwright, is installed: `apt-get install chromium` and `pip install '.[test]'`"
        if wanted:
            pytest.fail(text)
        pytest.skip(text)
    with sync_playwright() as playwright:
        # the sandbox needs what containers mostly don't have; only pages of these tests are opened
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page of the dashboard, and all that went wrong in it."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        self.context.set_default_timeout(_PATIENCE_MS)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))

    def _hear(self, message: Any) -> None:
        # what can't be fetched is the tests' doing: refused tokens, gateways that are gone
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)

    def open(self, url: str, fragment: str = "") -> Tab:
        """Open the dashboard and wait until it shows answers."""
        self.page.goto(f"{url}/{fragment}")
        self.page.wait_for_selector("#grid td[data-row]")
        return self

    def cell(self, agent: str, provider: str) -> Any:
        """Return one cell."""
        return self.page.locator(f'#grid td[aria-label^="{agent}, {provider}:"]')

    def wait_for_state(self, agent: str, provider: str, state: str) -> None:
        """Wait until a cell shows a state."""
        self.page.wait_for_selector(f'#grid td[aria-label="{agent}, {provider}: {state}"][data-state="{state}"]')

    def wait_for_count(self, selector: str, count: int) -> None:
        """Wait until there are so many of something."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(count, timeout=_PATIENCE_MS)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until a part of the page says something."""
        self.page.locator(selector).filter(has_text=text).first.wait_for()

    def colour(self, agent: str, provider: str) -> tuple[int, ...]:
        """Return the colour of a cell's shape as red, green and blue."""
        found = self.cell(agent, provider).locator("svg").evaluate("one => getComputedStyle(one).color")
        return tuple(int(part) for part in found.removeprefix("rgb(").removesuffix(")").split(","))
