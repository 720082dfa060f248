"""The bench: scenarios that load the package the way a gateway and its neighbours do, and measure it. Run from the
project root as `python -m bench`.
"""
