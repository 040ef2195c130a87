"""Playbook folders on disk: a playbook with its tests and files, or many of them and a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from orchestrator.domain.errors import Invalid
from orchestrator.registry.publish import PlaybookFiles
from orchestrator.registry.statement import encode_files
from orchestrator.registry.sync import FolderContent, FolderPlaybook

MAX_FILES = 500
MAX_FILE_BYTES = 1024 * 1024


def read_playbook(folder: Path, called: str | None = None) -> FolderPlaybook:
    """Read the playbook in a folder; messages name its file as `called`.

    Raises Invalid that names the file.
    """
    file = folder / "playbook.yaml"
    tests = folder / "tests.yaml"
    return FolderPlaybook(
        file=called or str(file),
        text=_read_text(file),
        tests=_read_text(tests) if tests.exists() else None,
        files=encode_files(_read_files(folder)),
    )


def read_playbook_files(folder: Path) -> PlaybookFiles:
    """Read the files next to the playbook.yaml of a folder."""
    found = read_playbook(folder)
    return PlaybookFiles(tests=found.tests, files=found.files)


def read_folder(
    folder: Path, environment: Literal["staging", "production"], *, prune: bool
) -> FolderContent:
    """Read every folder below with a playbook.yaml, and the folder's own policy.yaml.

    Raises Invalid.
    """
    if not folder.is_dir():
        raise Invalid(f"{folder}: not a folder; name the one that holds your playbook folders")
    places = sorted(
        path.parent
        for path in folder.rglob("playbook.yaml")
        if not _is_hidden(path.relative_to(folder))
    )
    policy = folder / "policy.yaml"
    if not places and not policy.exists():
        raise Invalid(f"{folder}: holds neither a folder with a playbook.yaml nor a policy.yaml")
    found = tuple(
        read_playbook(place, str((place / "playbook.yaml").relative_to(folder))) for place in places
    )
    return FolderContent(
        environment=environment,
        playbooks=found,
        policy=_read_text(policy) if policy.exists() else None,
        prune=prune,
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: cannot be read as text ({error})") from error


def _read_files(folder: Path) -> dict[str, bytes]:
    """Read all files except the playbook and its tests; links out of the folder are refused."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or _is_hidden(name) or str(name) in {"playbook.yaml", "tests.yaml"}:
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Invalid(f"{path}: links out of the folder; replace the link by the file")
        if path.stat().st_size > MAX_FILE_BYTES or len(found) == MAX_FILES:
            raise Invalid(
                f"{path}: a playbook folder holds at most {MAX_FILES} files "
                f"of {MAX_FILE_BYTES // 1024} KiB"
            )
        found[name.as_posix()] = path.read_bytes()
    return found
