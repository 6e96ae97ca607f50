"""Types that several contracts share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Price = Annotated[float, msgspec.Meta(ge=0)]  # decimal, in major units
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]  # ISO 3166
# RFC 3339; without an offset it is UTC.
Time = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
