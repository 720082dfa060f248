"""The terminal face. Uses the public face of the package only; what a command doesn't need is not imported."""
