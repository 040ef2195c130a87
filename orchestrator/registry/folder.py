"""What does a folder hold? A playbook with its tests and their files, or many such folders and perhaps a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from orchestrator.domain.errors import Invalid
from orchestrator.registry.playbooks import Beside
from orchestrator.registry.statement import encoded
from orchestrator.registry.sync import Wanted, WantedPlaybook

MAX_FILES = 500
MAX_FILE_BYTES = 1024 * 1024


def read_playbook(folder: Path, called: str | None = None) -> WantedPlaybook:
    """The playbook in a folder. `called`: how messages name its file. Raises Invalid that names the file."""
    file = folder / "playbook.yaml"
    tests = folder / "tests.yaml"
    return WantedPlaybook(
        file=called or str(file),
        text=_text(file),
        tests=_text(tests) if tests.exists() else None,
        files=encoded(_files(folder)),
    )


def beside(folder: Path) -> Beside:
    """What lies beside the playbook.yaml of a folder."""
    found = read_playbook(folder)
    return Beside(tests=found.tests, files=found.files)


def read_folder(
    folder: Path, environment: Literal["staging", "production"], *, prune: bool
) -> Wanted:
    """Every folder below that has a playbook.yaml, and the folder's own policy.yaml. Raises Invalid."""
    if not folder.is_dir():
        raise Invalid(f"{folder}: is no folder; name the one that holds your playbooks' folders")
    places = sorted(
        path.parent
        for path in folder.rglob("playbook.yaml")
        if not _hidden(path.relative_to(folder))
    )
    policy = folder / "policy.yaml"
    if not places and not policy.exists():
        raise Invalid(f"{folder}: holds neither a folder with a playbook.yaml nor a policy.yaml")
    found = tuple(
        read_playbook(place, str((place / "playbook.yaml").relative_to(folder))) for place in places
    )
    return Wanted(
        environment=environment,
        playbooks=found,
        policy=_text(policy) if policy.exists() else None,
        prune=prune,
    )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: cannot be read as text ({error})") from error


def _files(folder: Path) -> dict[str, bytes]:
    """All but the playbook and its tests; links are not followed out of the folder."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or _hidden(name) or str(name) in {"playbook.yaml", "tests.yaml"}:
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Invalid(f"{path}: leads out of the folder; put the file itself there")
        if path.stat().st_size > MAX_FILE_BYTES or len(found) == MAX_FILES:
            raise Invalid(
                f"{path}: a playbook's folder holds at most {MAX_FILES} files of {MAX_FILE_BYTES // 1024} KiB"
            )
        found[name.as_posix()] = path.read_bytes()
    return found
