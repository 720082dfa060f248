"""Deterministic simulation: the real actors, a scripted world, crashes at every message boundary, and what must hold.

`script.py` makes the operations of a seed; `world.py` carries them out (`state.py` is what it knows; what can happen is
in `actor_acts.py`, `file_acts.py`, `source_acts.py` and `embedder_acts.py`); `invariants.py` says what must hold after
each; `coverage.py` counts where actors crashed; `planted.py` has bugs to be found; `run.py` runs seeds and finds the
shortest script that still fails; `report.py` shows it all.
"""
