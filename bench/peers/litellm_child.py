"""`python -m bench.peers.litellm_child N`: times litellm in this fresh interpreter and prints the answer as JSON."""

from __future__ import annotations

import importlib
import resource
import sys
import time

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one interpreter measured."""

    import_s: float
    first_s: float
    later_s: list[float]
    rows: int
    """How many models the first call returned."""
    rss_peak_mib: float


def measure(later_calls: int) -> Answer:
    """Import litellm, then ask for valid models, 1 + `later_calls` times."""
    began = time.perf_counter()
    litellm = importlib.import_module("litellm")
    import_s = time.perf_counter() - began
    taken, rows = [], 0
    for again in range(1 + later_calls):
        began = time.perf_counter()
        models = litellm.get_valid_models(check_provider_endpoint=False)
        taken.append(time.perf_counter() - began)
        rows = rows if again else len(models)
    per_mib = 2**20 if sys.platform == "darwin" else 2**10
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mib
    return Answer(import_s=import_s, first_s=taken[0], later_s=taken[1:], rows=rows, rss_peak_mib=peak_mib)


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(measure(int(sys.argv[1]))).decode())
