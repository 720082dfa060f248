"""A way in from other processes of the same user: a local socket by which a running gateway is asked to look again."""
