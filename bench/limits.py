"""What the parameters of scenarios may be: a file that says anything else is wrong usage, not a run without end."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
"""How many of something that has to be there."""

CountOrNone: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""How many of something that may be left out."""

Amount: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=86_400_000)]
"""A time that passes."""
