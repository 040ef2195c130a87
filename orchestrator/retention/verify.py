"""Verification of an archive: by its manifest, and by the event of the audit trail about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.audit.keys.load import load_keys
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid
from orchestrator.retention.archive_file import TableSums, read_lines
from orchestrator.retention.manifest import ArchivedTable, ArchiveManifest, load_archive_manifest
from orchestrator.runtime import Runtime
from orchestrator.store.queries.retention.events import events_about


class ArchiveReport(NamedTuple):
    """What the verification of an archive found."""

    manifest: ArchiveManifest
    findings: list[str]


def check_archive(path: Path, keys: Sequence[PublicKey]) -> ArchiveReport:
    """Read an archive back in constant memory, and compare it with its manifest.

    Raise Invalid where the file is missing or none of the keys signed the manifest.
    """
    manifest = load_archive_manifest(path, keys)
    return ArchiveReport(manifest, list(_findings(path, manifest)))


async def check_archive_of(rt: Runtime, path: Path) -> ArchiveReport:
    """Verify an archive of this installation, and that its trail says so. Raise as above."""
    async with rt.store.read() as session:
        keys = await load_keys(rt, session)
        events = await events_about(session, path.name, EventKind.RETENTION_ARCHIVED)
    report = check_archive(path, [keys.signer.public, *keys.earlier])
    named = {str(each.record["data"].get("sha256")) for each in events}
    found = report.findings
    if not named:
        found.append(
            f"the audit trail has no {EventKind.RETENTION_ARCHIVED} event about {path.name}: the "
            "archive was not finished, and nothing was deleted for it, or it has another name"
        )
    elif report.manifest.content.sha256 not in named:
        found.append(
            f"the audit trail names another digest of {path.name}: {', '.join(sorted(named))}"
        )
    return report


def _findings(path: Path, manifest: ArchiveManifest) -> list[str]:
    content = manifest.content
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror}); name the archive") from error
    if digest == content.sha256:
        return _table_findings(path, manifest)
    return [
        f"{path}: was altered: its SHA-256 is {digest}, and that of its manifest {content.sha256}",
        *_table_findings(path, manifest),
    ]


def _table_findings(path: Path, manifest: ArchiveManifest) -> list[str]:
    """Return which tables are not those of the manifest."""
    sums = TableSums()
    try:
        for line, parsed in read_lines(path):
            if "table" in parsed:
                sums.add(str(parsed["table"]), line)
    except Invalid as error:
        return [str(error)]
    found, tables = sums.tables(), manifest.content.tables
    differing = [name for name in sorted({*found, *tables}) if found.get(name) != tables.get(name)]
    return [
        f"{path}: table {name} was altered: it has {_rows(found, name)} rows, and "
        f"{_rows(tables, name)} in the manifest"
        for name in differing
    ]


def _rows(tables: Mapping[str, ArchivedTable], name: str) -> int:
    return tables[name].rows if name in tables else 0
