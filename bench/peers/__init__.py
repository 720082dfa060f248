"""Peers: others that answer the same question, installed on demand and measured from outside.

`registry` names them, `protocol` says what each can do and which metrics there are, `command` is their command line.
"""
