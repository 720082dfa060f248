"""Chats and pickers on a home: what a change does to buttons, and the example of the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from openclaw_actors.ids import ProviderId
from openclaw_actors.pickers import Choose, ShowModels, Stale, discord, telegram
from openclaw_actors.pickers.targets import STALE_TEXT
from openclaw_actors.testing import HomeFiles, SteppedSupervisor, api_key

ROOT = Path(__file__).parents[2]
GROQ = ShowModels(ProviderId("groq"))


def test_a_button_of_before_a_change_says_so(openclaw_home: HomeFiles, stepped_supervisor: SteppedSupervisor) -> None:
    """It chooses its model while the answers are those that it was made of, and nothing after a refused request."""
    openclaw_home.write_profiles(groq__work=api_key("groq"), openai__work=api_key("openai"))
    supervisor = stepped_supervisor.warm()
    instance = supervisor.instance_id
    keyboard = telegram.show(supervisor.models(), instance, GROQ).keyboard
    select = discord.show(supervisor.models(), instance, GROQ).select
    assert select is not None
    button, option = keyboard[0][0].callback_data, select.options[0].value
    for found in (
        telegram.answer(supervisor.models(), instance, button),
        discord.answer(supervisor.models(), instance, option),
    ):
        assert isinstance(found, Choose)
        assert found.ref == f"groq/{keyboard[0][0].text}"

    supervisor.report_failure("openai:work", "auth")
    supervisor.run_until_idle()
    stale = Stale(STALE_TEXT, GROQ)
    assert telegram.answer(supervisor.models(), instance, button) == stale
    assert discord.answer(supervisor.models(), instance, option) == stale
    assert "openai" in telegram.show(supervisor.models(), instance).text


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    """What is pasted prints the models, the keyboard and the model that was chosen."""
    (example,) = re.findall(r"```python\n(# chat\.py\n.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=ROOT,
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Models (groq · 🔑 api-key (groq:default)) — showing 1-3 of 18 (page 1/6)" in done.stdout
    assert "gemma2-9b-it ✓" in done.stdout
    assert "chosen: groq/gemma2-9b-it" in done.stdout
