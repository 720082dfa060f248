"""The soak: a second process edits a home for a while, the way programs and people do, and tells what it wrote. A
supervisor on that home has to change every answer that this changes, once, and do nothing else.

`writer` is the second process: `edits` on a `model` of the home, told in the `journal`. In the first one `session` runs
the supervisor, `matching` holds its changes against the journal, `windows` looks at what usage costs, and `comparison`
asks a fresh supervisor whether it agrees in the end.
"""
