"""The manifest of an archive: what it holds, of which installation, signed by its audit key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.crypto.private_file import create_private
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import Hash
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.domain.model import Frozen

_SUFFIX = ".manifest.json"
_SIGNED = b"tocsin:retention:manifest:1\n"


class ArchivedTable(Frozen):
    """The rows of one table in an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Annotated[int, Field(ge=0)]
    sha256: Hash
    """Of the lines of its rows, in their order."""


class ArchiveContent(Frozen):
    """What the file of an archive is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Hash
    first: datetime | None
    """The earliest time of its runs, alerts, incidents, notifications and deliveries."""
    last: datetime | None
    tables: dict[str, ArchivedTable]

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each table."""
        return {name: table.rows for name, table in self.tables.items()}


class ArchiveManifest(Frozen):
    """What an archive is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tocsin_archive: Literal[1] = 1
    version: str
    created_at: datetime
    installation: str
    environment: str
    before: datetime
    """What is archived was over before this moment."""
    content: ArchiveContent
    key_id: str
    signature: str


def manifest_path(archive: Path) -> Path:
    """Return where the manifest of an archive is."""
    return archive.with_name(archive.name + _SUFFIX)


def write_archive_manifest(
    archive: Path, key: SigningKey, about: dict[str, Any], content: ArchiveContent
) -> ArchiveManifest:
    """Sign and write the manifest of an archive (mode 600). Raise Conflict where it has one."""
    described = content.model_dump(mode="json")
    unsigned = {"tocsin_archive": 1, **about, "content": described, "key_id": key.id}
    signed = {**unsigned, "signature": key.sign(_SIGNED + canonical(unsigned))}
    path = manifest_path(archive)
    if not create_private(path, (json.dumps(signed, indent=2) + "\n").encode()):
        raise Conflict(f"{path}: exists already; archive into another folder")
    return ArchiveManifest.model_validate_json(json.dumps(signed))


def load_archive_manifest(archive: Path, keys: Sequence[PublicKey]) -> ArchiveManifest:
    """Return the manifest of an archive that one of the keys signed. Raise Invalid otherwise."""
    path = manifest_path(archive)
    try:
        signed = json.loads(path.read_bytes())
        manifest = ArchiveManifest.model_validate_json(json.dumps(signed))
        signature = signed.pop("signature")
        message = _SIGNED + canonical(signed)
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be read ({error.strerror}); an archive without its manifest was not "
            "finished, and nothing was deleted for it"
        ) from error
    except (ValueError, AttributeError, ValidationError) as error:
        raise Invalid(f"{path}: is not the manifest of an archive, or is damaged") from error
    if not any(key.verifies(signature, message) for key in keys):
        names = ", ".join(key.id for key in keys)
        raise Invalid(
            f"{path}: audit key {names} did not sign it, which names key {manifest.key_id}; use "
            "the public key of the installation that made the archive, or another copy of it"
        )
    return manifest
