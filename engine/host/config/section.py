"""What every table of a configuration is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """What all tables have in common: frozen, no unknown keys, no guessing at types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
