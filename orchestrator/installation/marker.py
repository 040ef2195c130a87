"""The file of a data directory that names its installation and database."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from orchestrator.crypto.private_file import replace_private
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

FILE = "installation.json"


class Marker(Frozen):
    """What a data directory belongs to, since its first start."""

    id: str
    """The id of the installation."""
    database: str
    """Its database, without user and password."""


def load_marker(data_dir: Path) -> Marker | None:
    """Return the marker; None where there is none yet. Raise Invalid for a damaged one."""
    path = data_dir / FILE
    try:
        return Marker.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not the file that Tocsin wrote"
        raise Invalid(
            f"{path}: cannot be read ({reason}); restore it, or remove it if the database and the "
            "keys are those of this installation"
        ) from error


def save_marker(data_dir: Path, marker: Marker) -> None:
    """Write the marker, where it differs. Raise Invalid."""
    if load_marker(data_dir) != marker:
        content = json.dumps(marker.model_dump(), indent=2) + "\n"
        replace_private(data_dir / FILE, content.encode())
