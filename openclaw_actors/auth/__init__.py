"""The question itself: facts in, verdicts out. Pure functions and frozen structs; no thread, no I/O, no clock of its
own.
"""
