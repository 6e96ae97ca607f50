"""Types that several contracts share."""

from __future__ import annotations

from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Price = Annotated[float, msgspec.Meta(ge=0)]  # decimal, in major units
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
