"""The soak as its users run it: the real command, two real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_soak_is_clean(tmp_path: Path) -> None:
    """Each edit of a second process changes just the answers that it must, and usage costs no check."""
    figures = tmp_path / "soak.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "soak"),
            *("--minutes", "0.1", "--agents", "6", "--seed", "1", "--resync-s", "2"),
            *("--home", str(tmp_path / "home"), "--json", str(figures)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(figures.read_text())
    assert report["violations"] == []
    changes = report["changes"]
    assert changes["expected"] == changes["seen"] > 0
    assert changes["missed"] == changes["unexpected"] == 0
    usage = report["windows"]["usage"]
    assert usage["windows"] + usage["skipped"] == 1
    assert usage["provider_checks"] == usage["sweeps"] == 0
    assert report["still"]["cells"] > 300
    assert report["still"]["moved"] == 0
    assert report["latency_ms"]["rename_to_callback"]["count"] > 0
    assert report["stats"]["resyncs"] > 0
    assert report["stats"]["resync_drifts"] == 0
    assert report["compared_with_fresh"] > 300
    assert report["reads"]["done"] > 1000
    assert report["machine"]["cores"] > 0
    assert "dummy-" not in done.stdout + figures.read_text()
    assert str(tmp_path) not in done.stdout + figures.read_text()
