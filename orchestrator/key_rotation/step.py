"""The steps of a rotation, for an installation with key files on several machines."""

from __future__ import annotations

from enum import StrEnum


class RotationStep(StrEnum):
    """A part of a rotation."""

    ALL = "all"
    ADD = "add"
    """Add a key, which is not used yet. Copy the file to every machine afterwards."""
    USE = "use"
    """Use it from now on. Copy the file again."""
    FINISH = "finish"
    """Retire older keys."""
