"""Which providers does each agent hold working credentials for? Answered before anyone asks.

The public face. Importing this package imports almost nothing, does no I/O and starts no thread: names load on first use (PEP 562).
"""

from __future__ import annotations

__version__ = "0.1.0"
