"""The manifest of a backup: what it holds, of which installation, signed by its audit key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.crypto.private_file import create_private
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import Hash
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

FILE = "manifest.json"
SQLITE, DUMP, TEMPORAL, KEYS = "tocsin.db", "tocsin.dump", "temporal.db", "keys.sealed"
_NAMES = (SQLITE, DUMP, TEMPORAL, KEYS)
_MANIFEST = b"tocsin:backup:manifest:1\n"


class BackupFile(Frozen):
    """A file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["tocsin.db", "tocsin.dump", "temporal.db", "keys.sealed"]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Hash


class Manifest(Frozen):
    """What a backup is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tocsin_backup: Literal[1] = 1
    version: str
    created_at: datetime
    installation: str
    environment: str
    head: TreeHead | None
    files: tuple[BackupFile, ...]
    key_id: str
    signature: str

    def names(self) -> set[str]:
        """Return the names of the files."""
        return {file.name for file in self.files}


def write_manifest(folder: Path, key: SigningKey, content: dict[str, Any]) -> Manifest:
    """Sign and write the manifest over the files in the folder."""
    files = [_describe(folder / name) for name in _NAMES if (folder / name).exists()]
    unsigned = {"tocsin_backup": 1, **content, "files": files, "key_id": key.id}
    signature = key.sign(_bytes(unsigned))
    text = json.dumps({**unsigned, "signature": signature}, indent=2) + "\n"
    create_private(folder / FILE, text.encode())
    return Manifest.model_validate_json(text)


def load_manifest(folder: Path) -> tuple[Manifest, bytes]:
    """Return the manifest of a backup, and what its signature covers. Raise Invalid."""
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        manifest = Manifest.model_validate(content)
        content.pop("signature")
        return manifest, _bytes(content)
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be read ({error.strerror}); name the folder of `tocsin backup`"
        ) from error
    except (ValueError, AttributeError, ValidationError) as error:
        raise Invalid(f"{path}: is not the manifest of a backup, or is damaged") from error


def check_backup(folder: Path, keys: Sequence[PublicKey]) -> Manifest:
    """Return the manifest where one of the keys signed it and every file is as it says.

    Raise Invalid otherwise.
    """
    manifest, signed = load_manifest(folder)
    if not any(key.verifies(manifest.signature, signed) for key in keys):
        names = ", ".join(key.id for key in keys)
        raise Invalid(
            f"{folder}: is not a backup of this installation: audit key {names} did not sign its "
            f"manifest, which names key {manifest.key_id}; use the keys of the backup, or another "
            "backup"
        )
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or _describe(path) != file.model_dump():
            raise Invalid(
                f"{path}: is missing or damaged, as its digest is not that of the manifest; "
                "use another backup"
            )
    return manifest


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _bytes(content: dict[str, Any]) -> bytes:
    return _MANIFEST + canonical(content)
