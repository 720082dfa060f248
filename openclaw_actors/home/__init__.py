"""An OpenClaw home on disk, read into secret-free facts: paths, config, agents, secret references, CLI logins,
profile stores.
"""
