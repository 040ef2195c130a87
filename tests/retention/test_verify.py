"""An altered archive is named, and a broken trail or a missing sink keeps everything."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, Unavailable
from orchestrator.retention.archive import write_archive
from orchestrator.retention.manifest import manifest_path
from orchestrator.retention.remove import remove_archived
from orchestrator.retention.verify import check_archive, check_archive_of
from orchestrator.runtime import Runtime
from tests.audit.test_anchor import tamper
from tests.harness.databases import START
from tests.harness.trails import stored_events
from tests.retention.old_records import BEFORE, add, archived, closed, counts, installed


async def test_altered_archive_is_named_with_the_table_that_differs(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        path = (await archived(rt, tmp_path)).path
        content = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(content.replace(b'"approve"', b'"decline"')))
        digest, table = (await check_archive_of(rt, path)).findings
        assert f"{path}: was altered: its SHA-256 is" in digest
        assert "table approval_decisions was altered: it has 1 rows, and 1 in the manifest" in table


async def test_cut_archive_is_named(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        path = (await archived(rt, tmp_path)).path
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        assert "cannot be read after line" in check_archive(path, [rt.audit_key.public]).findings[1]
        lines = gzip.decompress(whole).splitlines(keepends=True)
        path.write_bytes(gzip.compress(b"".join(lines[:-1])))
        assert "breaks off after line" in check_archive(path, [rt.audit_key.public]).findings[1]


async def test_archive_in_the_place_of_another_is_not_that_of_the_trail(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        done = await archived(rt, tmp_path)
        await add(rt, *closed("b"))
        other = await write_archive(rt, BEFORE, tmp_path / "other")
        assert other is not None
        done.path.write_bytes(other[0].read_bytes())
        manifest_path(done.path).write_bytes(manifest_path(other[0]).read_bytes())
        assert check_archive(done.path, [rt.audit_key.public]).findings == []
        [finding] = (await check_archive_of(rt, done.path)).findings
        assert "the audit trail names another digest" in finding


async def test_manifest_that_another_key_signed_is_refused(tmp_path: Path) -> None:
    async with installed(tmp_path / "one") as rt, installed(tmp_path / "two") as other:
        await add(rt, *closed("a"))
        path = (await archived(rt, tmp_path)).path
        assert check_archive(path, [rt.audit_key.public]).findings == []
        with pytest.raises(Invalid, match="did not sign it"):
            check_archive(path, [other.audit_key.public])


async def test_broken_trail_keeps_everything(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        await add(rt, *closed("young", START))
        await tamper(rt, "DELETE FROM audit_batches WHERE number = 2")
        before = await counts(rt)
        with pytest.raises(Conflict, match="trail is broken, so that nothing is archived"):
            await archived(rt, tmp_path)
        assert await counts(rt) == before
        assert not (tmp_path / "archive").exists()


async def test_missing_sink_keeps_everything_where_one_is_required(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        written = await write_archive(rt, BEFORE, tmp_path / "archive")
        assert written is not None
        sinks = {"audit_sinks": ("file:///dev/null",), "audit_sinks_required": True}
        strict = Runtime(
            rt.settings.model_copy(update=sinks),
            rt.store,
            rt.secrets,
            rt.payloads,
            rt.audit_keys,
            rt.clock,
        )
        before = await counts(rt)
        with pytest.raises(Unavailable, match="no audit sink has acknowledged"):
            await archived(strict, tmp_path)
        with pytest.raises(Unavailable, match="no audit sink has acknowledged"):
            await remove_archived(strict, *written, actor="person:t", progress=lambda _: None)
        assert await counts(rt) == before
        assert await stored_events(rt, EventKind.RETENTION_ARCHIVED) == []


async def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        before = await counts(rt)
        (tmp_path / "archive").write_text("a file")
        with pytest.raises(Invalid, match=f"{tmp_path}/archive/.* cannot be written"):
            await archived(rt, tmp_path)
        assert await counts(rt) == before
