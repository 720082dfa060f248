"""A gateway in a process of its own, and clients that put it under load."""
