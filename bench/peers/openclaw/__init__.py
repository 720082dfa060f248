"""OpenClaw, the incumbent: the npm package with its own Node, a gateway on loopback, measured from outside."""
