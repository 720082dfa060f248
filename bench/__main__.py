"""`python -m bench`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the bench's command line and return its exit status."""
    from bench.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
