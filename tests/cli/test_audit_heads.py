"""`tocsin audit head`, `prove` and `witness`: what is kept elsewhere, and co-signed by others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.audit.transparency import witness
from orchestrator.audit.transparency.tree_head import TreeHead, sign_tree_head
from orchestrator.crypto.signing import SigningKey, load_signing_key
from orchestrator.domain.audit_batch import Batch
from tests.harness.api_server import ApiServer
from tests.harness.commands import CommandOutcome, tocsin
from tests.harness.databases import START


@pytest.fixture
def data_dir(server: ApiServer, tmp_path: Path) -> Path:
    """Return the data directory of an installation whose trail has a sealed batch."""
    folder = server.settings.data_dir
    _good(tocsin("audit", "export", tmp_path / "trail", "--data-dir", folder))
    return folder


def _good(done: CommandOutcome) -> CommandOutcome:
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def _seal_more(data_dir: Path, tmp_path: Path) -> Path:
    here = ("--data-dir", data_dir)
    _good(tocsin("kill-switch", "engage", "source", "witnessed", *here))
    _good(tocsin("kill-switch", "lift", "source", "witnessed", *here))
    _good(tocsin("audit", "export", tmp_path / "trail", *here))
    return tmp_path / "trail"


def test_later_trail_is_proved_to_continue_a_kept_head(data_dir: Path, tmp_path: Path) -> None:
    here, old = ("--data-dir", data_dir), tmp_path / "old.head"
    shown = json.loads(_good(tocsin("audit", "head", "-f", old, "--json", *here)).stdout)
    assert TreeHead.model_validate(shown).line() == old.read_bytes()
    export = _seal_more(data_dir, tmp_path)
    proof, key = tmp_path / "proof", ("--public-key", data_dir / "audit.pub")
    assert "intact" in _good(tocsin("audit", "prove", old, "-f", proof, *key, *here)).stdout
    assert "intact" in _good(tocsin("audit", "verify", proof, "--head", old, *key)).stdout
    assert "intact" in _good(tocsin("audit", "verify", export, "--head", old, *key)).stdout
    assert "a proof needs an earlier head" in tocsin("audit", "verify", proof, *key).stderr


def test_witness_cosigns_only_what_continues_the_last_head_it_saw(
    data_dir: Path, tmp_path: Path
) -> None:
    private, file = tmp_path / "w.key", tmp_path / "witness.jsonl"
    _good(tocsin("signing-key", "new", "-f", private))
    call = ("audit", "witness", file, "--key", private, "--name", "cert")
    call = (*call, "--public-key", data_dir / "audit.pub", "--data-dir", data_dir)
    assert "the first one seen" in _good(tocsin(*call)).stdout
    export = _seal_more(data_dir, tmp_path)
    assert "which continues batch" in _good(tocsin(*call)).stdout
    _good(tocsin(*call))  # nothing new
    assert len(file.read_bytes().splitlines()) == 3
    trusted = ("--cosigned", file, "--witness-key", tmp_path / "w.key.pub")
    verify = ("audit", "verify", export, "--public-key", data_dir / "audit.pub", *trusted)
    assert "note: witness cert" in _good(tocsin(*verify)).stdout

    signer = load_signing_key(private)
    last = witness.load_last(file, signer.public)
    assert last is not None
    for batch, root, why in (
        (last.head.batch, "78" * 32, "was rewritten since"),
        (last.head.batch + 9, last.head.root, "cut off"),
    ):
        lost = _lost_head(last.head, load_signing_key(data_dir / "audit.key"), batch, root)
        witness.append(file, witness.cosign(signer, "cert", lost, START))
        before = file.read_bytes()
        refused = tocsin(*call)
        assert refused.returncode == 1
        assert why in refused.stdout
        assert file.read_bytes() == before


def _lost_head(head: TreeHead, signer: SigningKey, batch: int, root: str) -> TreeHead:
    """Return a head that the installation signed, of a trail that it does not have any more."""
    newest = Batch(
        number=batch,
        first_seq=1,
        last_seq=head.last_seq,
        root=head.root,
        leaves="0" * 16,
        previous=head.root,
        sealed_at=head.sealed_at,
        key_id=signer.id,
        digest=head.digest,
        signature="0" * 128,
    )
    return sign_tree_head(signer, newest, bytes.fromhex(root))
