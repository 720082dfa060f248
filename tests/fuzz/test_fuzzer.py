"""The fuzzer itself runs, and small documents that could cost much don't."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from bombs import BOMBS
from decoders import Decoders
from documents import STRATEGIES
from fuzz_decoders import NAMES, seeds

HERE = Path(__file__).parent
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris isn't installed: it has wheels for CPython on Linux x86-64 only (extra `fuzz`)",
)


def fuzz(folder: Path, *arguments: str, timeout_s: float) -> str:
    """Run the fuzzer in a folder, fail with what it found, and return what it printed."""
    command = [sys.executable, str(HERE / "fuzz_decoders.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [one.name for one in folder.iterdir()] == []
    return done.stderr


@needs_atheris
def test_a_short_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """A thousand documents, led by what the decoders' code does with them, bring out no exception but ours."""
    assert "Done 1000 runs" in fuzz(tmp_path, "any", "-runs=1000", "-seed=1", timeout_s=55)


@needs_atheris
@pytest.mark.stress
@pytest.mark.timeout(1200)
def test_a_long_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """A minute for each decoder brings out no exception but ours, no hang and no growth."""
    assert fuzz(tmp_path, "all", "-max_total_time=60", timeout_s=1100).count("Done ") == len(NAMES)


def test_the_fuzzer_has_every_decoder_and_seeds_for_it(tmp_path: Path) -> None:
    """No decoder is left out by the fuzzer, the strategies or the seeds, and most seeds are good documents."""
    decoders = Decoders(tmp_path)
    assert tuple(decoders.targets) == tuple(STRATEGIES) == NAMES
    for name in NAMES:
        good = [decoders.run(name, data) for data in seeds(name)]
        assert good.count(True) >= len(good) / 2, name
        assert good, name


def test_the_fuzzer_would_see_a_foreign_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that lets another exception out, or hides one behind ours, fails whoever has it decode."""
    decoders = Decoders(tmp_path)
    monkeypatch.setattr("openclaw_actors.control.messages._BAD_JSON", ())
    with pytest.raises(UnicodeDecodeError):
        decoders.run("control", b'{"version": 1, "op": "\xff"}')
    monkeypatch.setattr("openclaw_actors.home.stores.json_files.decode_state", lambda document: 1 / 0)
    with pytest.raises(AssertionError, match="reader failed"):
        decoders.run("state", b'{"version": 1}')


def test_documents_that_could_cost_much_cost_little() -> None:
    """Deep, long, repeated and multiplied documents are decoded or refused with bounded memory and time."""
    done = subprocess.run(
        [sys.executable, str(HERE / "bombs.py")], capture_output=True, text=True, timeout=55, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-300:]}\n{done.stderr[-2000:]}"
    assert done.stdout.count("\n") == len(BOMBS) + 1
