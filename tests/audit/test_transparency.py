"""Heads of the trail are signed, and a proof shows whether one continues another."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.sealer import export_trail
from orchestrator.audit.transparency import heads, witness
from orchestrator.audit.transparency.proof import load_proof, proof_findings
from orchestrator.audit.verify.check import Kept, verify, verify_proof
from orchestrator.audit.verify.kept_files import load_kept_head, load_tree_head
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.runtime import Runtime
from tests.audit.test_anchor import sealed, tamper
from tests.harness.databases import START, opened

REWRITE = (
    "DELETE FROM audit_batches WHERE number > 1",
    "DELETE FROM audit_seals WHERE seq > 2",
    "DELETE FROM audit_events WHERE number > 2",
)


async def rewrite(rt: Runtime, batches: int) -> None:
    """Cut the trail after its first batch, and go on with other events under the true key."""
    await tamper(rt, *REWRITE)
    rt.settings.audit_anchor_path.unlink()
    rt.settings.audit_head_path.unlink(missing_ok=True)
    await sealed(rt, batches)


async def test_newest_head_continues_every_earlier_one(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        earlier = []
        for _ in range(5):
            await sealed(rt, 1)
            earlier.append(await heads.load_head(rt))
        assert [head.batch for head in earlier] == [1, 2, 3, 4, 5]
        for head in earlier:
            proof = await heads.prove(rt, head.batch)
            assert proof_findings(proof, head, rt.audit_key.public) == []
        await export_trail(rt, tmp_path / "t.jsonl")
        for head in earlier:
            (tmp_path / "head").write_bytes(head.line())
            kept = Kept(load_kept_head(tmp_path / "head"))
            assert verify(tmp_path / "t.jsonl", rt.audit_key.public, kept).status == "intact"


async def test_trail_without_a_batch_has_no_head(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        with pytest.raises(Conflict, match="no sealed batch yet"):
            await heads.load_head(rt)


async def test_proof_is_verified_offline_from_its_file(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        (tmp_path / "old").write_bytes((await heads.load_head(rt)).line())
        await sealed(rt, 4)
        (tmp_path / "proof").write_bytes((await heads.prove(rt, 3)).line())
        key = rt.audit_key.public
    proof, old = load_proof(tmp_path / "proof"), load_tree_head(tmp_path / "old")
    assert proof is not None
    report = verify_proof(proof, key, old)
    assert (report.status, report.batches, report.notes) == ("intact", 7, ())
    assert "self-asserted" in verify_proof(proof, None, old).notes[0]
    cut = proof.model_copy(update={"nodes": proof.nodes[:-1]})
    assert "does not continue the old head of batch 3" in verify_proof(cut, key, old).findings[0]
    forged = proof.model_copy(update={"head": proof.head.model_copy(update={"batch": 8})})
    assert "is not signed by key" in verify_proof(forged, key, old).findings[0]
    with pytest.raises(Invalid, match="the old head is not signed by key"):
        verify_proof(proof, SigningKey.new().public, old)
    with pytest.raises(Invalid, match="the proof begins with batch 3"):
        verify_proof(proof, key, proof.head)


@pytest.mark.attack(
    "cut the newest batches and seal others with the true key, anchor included",
    before="`audit verify --public-key` says intact",
)
@pytest.mark.parametrize("batches", [1, 2, 5])
async def test_head_kept_elsewhere_reveals_a_trail_sealed_again(
    tmp_path: Path, batches: int
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        old = await heads.load_head(rt)
        await rewrite(rt, batches)
        proof = await heads.prove(rt, old.batch)
        [finding] = proof_findings(proof, old, rt.audit_key.public)
        assert ("cut off" if batches == 1 else "was rewritten") in finding
        await export_trail(rt, tmp_path / "t.jsonl")
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public).status == "intact"
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public, Kept(old)).status == "altered"


async def test_head_of_a_broken_trail_is_not_signed(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await tamper(rt, "DELETE FROM audit_batches WHERE number = 3")
        with pytest.raises(BrokenTrail, match="remembers batch 3"):
            await heads.load_head(rt)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM audit_batches WHERE number = 2", "a batch of the audit trail is missing"),
        ("UPDATE audit_batches SET record = 'x' WHERE number = 2", "cannot be read"),
        ("UPDATE audit_batches SET record = '{}' WHERE number = 2", "cannot be read"),
    ],
)
async def test_batch_that_cannot_be_read_gives_no_head(
    tmp_path: Path, statement: str, message: str
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await tamper(rt, statement)
        with pytest.raises(Conflict, match=message):
            await heads.load_head(rt)


async def test_verification_names_the_witnesses_that_cosigned(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        key, file = SigningKey.new(), tmp_path / "witness.jsonl"
        for _ in range(2):
            await sealed(rt, 2)
            witness.append(file, witness.cosign(key, "cert", await heads.load_head(rt), START))
        last = witness.load_last(file, key.public)
        assert last is not None
        assert last.head.batch == 4
        kept = Kept(cosignatures=tuple(witness.load_cosignatures(file, [key.public])))
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public, kept)
        assert report.status == "intact"
        [note] = report.notes
        assert note.startswith(f"witness cert (key {key.id}) co-signed batch 4 and its 8 events")
        await rewrite(rt, 6)
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public, kept)
        assert "not the one in what witness cert co-signed" in report.findings[0]
        assert report.notes == ()


async def test_cosignature_by_another_key_or_altered_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 1)
        key, file = SigningKey.new(), tmp_path / "witness.jsonl"
        witness.append(file, witness.cosign(key, "cert", await heads.load_head(rt), START))
        with pytest.raises(Invalid, match="none of the witness keys"):
            witness.load_cosignatures(file, [SigningKey.new().public])
        file.write_bytes(file.read_bytes().replace(b'"cert"', b'"acme"'))
        with pytest.raises(Invalid, match="none of the witness keys"):
            witness.load_cosignatures(file, [key.public])
        with pytest.raises(Invalid, match="no co-signature by key"):
            witness.load_last(file, key.public)
