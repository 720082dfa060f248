"""LiteLLM as a peer: `get_valid_models`, which looks for keys in the environment, without asking any provider.

It answers for one environment, so for one agent; homes of any size look alike to it. It gets main's API keys under the
names that it looks for, `PROVIDER_API_KEY`; logins and tokens have no place there. `LITELLM_LOCAL_MODEL_COST_MAP=True`
is its documented way to have the import fetch nothing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import msgspec
from rich.console import Console

from bench.peers.homes import agent_entries, main_profiles, read_config
from bench.peers.litellm_child import Answer
from bench.peers.processes import end_group, wait_until
from bench.peers.protocol import Availability, Limits, PeerError, PeerFigures, Watcher

_ROOT = Path(__file__).parents[2]
_REMEDY = "python -m bench peers install litellm"
_STEP_S = 0.05
_STOP_S = 2.0
_SHOWN = 400

_NAMES = {
    "fal": "fal_ai",
    "fireworks": "fireworks_ai",
    "google": "gemini",
    "nvidia": "nvidia_nim",
    "qwen": "dashscope",
    "runway": "runwayml",
    "together": "together_ai",
    "xiaomi": "xiaomi_mimo",
}
"""LiteLLM's names of providers that it calls otherwise (`litellm.provider_list` of 1.109)."""


class LiteLLMPeer:
    """The library `litellm`, in an interpreter of its own."""

    @property
    def name(self) -> str:
        """`litellm`."""
        return "litellm"

    def availability(self) -> Availability:
        """Look whether this interpreter has it; doesn't import it."""
        try:
            if importlib.util.find_spec("litellm") is not None:
                return Availability(installed=True, version=importlib.metadata.version("litellm"))
        except importlib.metadata.PackageNotFoundError:
            pass
        return Availability(installed=False, remedy=_REMEDY)

    def install(self, console: Console) -> None:
        """Have pip install the extra's litellm into this interpreter's environment.

        Raises:
            PeerError: pip isn't there or fails.
        """
        present = self.availability()
        if not present.installed:
            if importlib.util.find_spec("pip") is None:
                raise PeerError(
                    f"this Python has no pip. Install {requirement()!r} the way its packages are installed."
                )
            with console.status(f"pip install {requirement()}"):
                done = subprocess.run(
                    [sys.executable, "-m", "pip", "install", "--quiet", requirement()],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            if done.returncode != 0:
                raise PeerError(f"pip install {requirement()} failed: {done.stderr.strip()[-_SHOWN:]}")
            importlib.invalidate_caches()
            present = self.availability()
        console.print(f"litellm: {present.version}", highlight=False)

    def measure(self, home: Path, limits: Limits, watcher: Watcher) -> PeerFigures:
        """Measure one round; see `Peer.measure`."""
        present = self.availability()
        if not present.installed:
            raise PeerError(f"litellm isn't installed: {_REMEDY}")
        found = PeerFigures(peer=self.name, version=str(present.version), agents=len(agent_entries(read_config(home))))
        found.notes.append("litellm answers for one environment, one agent: it had main's API keys, whatever the home")
        watcher.say("litellm in a fresh interpreter")
        limit_s = limits.ready_s + limits.call_s
        command = [sys.executable, "-m", "bench.peers.litellm_child", str(limits.later_calls)]
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as trouble:
            process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=environment(home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=trouble,
                start_new_session=True,
            )
            try:
                in_time = wait_until(lambda: process.poll() is not None, limit_s, watcher, _STEP_S)
            finally:
                end_group(process, _STOP_S)
            output.seek(0)
            trouble.seek(0)
            if not in_time:
                found.problems.append(f"no answer within {limit_s:.0f} s (over the limit)")
            elif process.returncode != 0:
                told = trouble.read().decode("utf-8", "replace").strip()[-_SHOWN:]
                found.problems.append(f"litellm ended with status {process.returncode}: {told}")
            else:
                _note(msgspec.json.decode(output.read(), type=Answer), found)
        return found


def environment(home: Path) -> dict[str, str]:
    """Return the whole environment that litellm is asked in: main's API keys, under its names for their providers.

    Raises:
        PeerError: The home has no main store.
    """
    keys = {
        f"{_NAMES.get(profile['provider'], profile['provider']).upper().replace('-', '_')}_API_KEY": profile["key"]
        for profile in main_profiles(home).values()
        if "key" in profile
    }
    return {"PATH": os.defpath, "HOME": str(home / "user"), "LITELLM_LOCAL_MODEL_COST_MAP": "True", **keys}


def requirement() -> str:
    """Return the range of versions that the extra `bench` names."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return next(str(one) for one in project["optional-dependencies"]["bench"] if one.startswith("litellm"))


def _note(answer: Answer, found: PeerFigures) -> None:
    found.add("import_s", answer.import_s)
    found.add("valid_models_first_s", answer.first_s)
    for value in answer.later_s:
        found.add("valid_models_later_s", value)
    found.add("valid_models_rows", answer.rows)
    found.add("rss_peak_mib", answer.rss_peak_mib)
    if not answer.rows:
        found.problems.append("it returned no models: it swallows its errors and answers with none")
