"""Actors and how they run.

`inbox` holds what waits, `base` is what every actor is, `lanes` are the threads that actors run on, `alarms` tell
later, and `dispatch` puts these together. The concrete actors live beside them, one module each.
"""
