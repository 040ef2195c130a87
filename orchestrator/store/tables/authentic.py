"""The column of rows that are believed only with a tag of their content."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class Authentic(SQLModel):
    """A row with a tag, which is written and checked in `orchestrator/store/authentic.py`."""

    mac: str = Field(default="", exclude=True)
