"""The command line: `openclaw-actors`, or `python -m openclaw_actors`."""

from __future__ import annotations

import sys

from openclaw_actors import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    `--version` is answered from the arguments alone, before anything else is imported.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["--version"], ["-V"]):
        from openclaw_actors import __version__

        print(f"openclaw-actors {__version__}")
        return 0
    try:
        from openclaw_actors.cli.app import run

        return run(given)
    except KeyboardInterrupt:  # while the command's own modules are imported
        return 130


if __name__ == "__main__":
    sys.exit(main())
