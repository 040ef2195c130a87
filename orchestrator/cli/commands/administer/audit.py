"""`tocsin audit`: list, export, prove, witness and verify the audit trail."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.command import Answer, Api, api_command, local_command, noun, table
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.filters import Oldest, Person, Since, Until, period, sort
from orchestrator.cli.options import Limit, write_text
from orchestrator.domain.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from orchestrator.audit.format import Head
    from orchestrator.audit.timestamp import Stamped
    from orchestrator.audit.transparency.proof import ConsistencyProof
    from orchestrator.audit.transparency.tree_head import TreeHead
    from orchestrator.audit.verify.check import Report

app = noun("The audit trail: list, export, witness and verify it.")

PublicKeyFile = Annotated[
    Path | None,
    typer.Option("--public-key", help="audit.pub of the data directory: PEM, or 64 hex digits."),
]

_EXIT = {
    "intact": ExitCode.DONE,
    "restored": ExitCode.NEGATIVE,
    "altered": ExitCode.NEGATIVE,
    "unreadable": ExitCode.UNREADABLE,
}


@api_command(app, "list")
def list_events(
    api: Api,
    subject: Annotated[
        str | None, typer.Option(help="Only events about this subject, such as a run's id.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only events of this kind, such as run:created.")
    ] = None,
    person: Person = None,
    observable: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help="Only about alerts that name this, and runs and approvals that change it.",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List audit events, newest first."""
    query = {**period(since, until), "subject": subject, "kind": kind, "person": person}
    query["observable"] = observable
    found = api.items("/v1/audit", limit, **query, sort=sort(oldest=oldest))
    return table(found, "number", "created_at", "kind", "actor", "subject", "data")


@api_command(app, "export")
def export(
    api: Api,
    file: Annotated[
        Path, typer.Argument(help="The file to write (mode 600), as a whole or not at all.")
    ],
) -> Answer:
    """Write the whole trail to a file, which anyone can verify offline."""
    head = save_export(api, file)
    return Answer(
        {"file": str(file), **head.model_dump(mode="json")},
        f"{file}: {head.events} events in {head.batches} sealed batches; newest {head.digest}",
    )


@api_command(app, "head")
def show_head(
    api: Api,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Also write the head to a file.")
    ] = None,
) -> Answer:
    """Print the signed head of the trail, to keep elsewhere: every later trail continues it."""
    head = _load_head(api)
    if file is not None:
        write_text(file, head.line().decode())
    return Answer(
        head.model_dump(mode="json"),
        f"batch {head.batch}, events 1..{head.last_seq}, sealed {head.sealed_at}\n"
        f"root {head.root}\nkey {head.key_id}, signature {head.signature}",
    )


@api_command(app, "prove")
def prove(
    api: Api,
    old: Annotated[Path, typer.Argument(help="A head that `tocsin audit head -f` wrote.")],
    public_key: PublicKeyFile = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Also write the proof, for `tocsin audit verify`."),
    ] = None,
) -> Answer:
    """Prove that the trail now continues an earlier head. Exit code 1: it does not."""
    from orchestrator.audit.verify.check import verify_proof
    from orchestrator.audit.verify.kept_files import load_tree_head
    from orchestrator.crypto.signing import load_public_key

    earlier = load_tree_head(old)
    proof = _load_proof(api, earlier.batch)
    if file is not None:
        write_text(file, proof.line().decode())
    key = load_public_key(public_key) if public_key else None
    return _answer(verify_proof(proof, key, earlier), "the trail since the head")


@api_command(app, "witness")
def witness(
    api: Api,
    file: Annotated[Path, typer.Argument(help="The witness's own file of co-signatures.")],
    key: Annotated[
        Path, typer.Option(help="The witness's private key: `tocsin signing-key new -f FILE`.")
    ],
    public_key: Annotated[
        Path, typer.Option("--public-key", help="audit.pub of the installation, as it was given.")
    ],
    name: Annotated[str, typer.Option(help="The witness's name in its co-signatures.")],
) -> Answer:
    """Co-sign the newest head if it continues the last one that this witness saw.

    Run it from cron, on a machine of other people. Exit code 1: it does not, and is not co-signed.
    """
    from orchestrator.audit.transparency.proof import proof_findings
    from orchestrator.audit.transparency.witness import append, cosign, load_last
    from orchestrator.crypto.signing import load_public_key, load_signing_key
    from orchestrator.domain.clock import utc_now

    signer, trail_key = load_signing_key(key), load_public_key(public_key)
    last = load_last(file, signer.public)
    proof = _load_proof(api, last.head.batch if last else _load_head(api).batch)
    findings = proof_findings(proof, last.head if last else proof.head, trail_key)
    if findings:
        text = "\n".join([f"{file}: not co-signed", *findings])
        return Answer({"cosignature": None, "findings": findings}, text, ExitCode.NEGATIVE)
    cosignature = cosign(signer, name, proof.head, utc_now())
    append(file, cosignature)
    since = f", which continues batch {last.head.batch}" if last else "; it is the first one seen"
    return Answer(
        {"cosignature": cosignature.model_dump(mode="json"), "findings": []},
        f"{file}: {name} (key {signer.id}) co-signed batch {proof.head.batch}{since}",
    )


@local_command(app, "verify")
def verify_export(
    file: Annotated[Path, typer.Argument(help="An export, or a proof of `tocsin audit prove`.")],
    public_key: PublicKeyFile = None,
    head: Annotated[
        Path | None,
        typer.Option(help="An earlier head: of `tocsin audit head`, or the end of an export."),
    ] = None,
    anchor: Annotated[Path | None, typer.Option(help="A copy of audit.anchor.")] = None,
    sink: Annotated[
        Path | None, typer.Option(help="The file of an audit sink, with batches and events.")
    ] = None,
    cosigned: Annotated[
        list[Path] | None, typer.Option(help="A witness's file of co-signatures; repeatable.")
    ] = None,
    witness_key: Annotated[
        list[Path] | None, typer.Option(help="The public key of a witness; repeatable.")
    ] = None,
    timestamps: Annotated[
        Path | None, typer.Option(help="A copy of audit.timestamps; with --tsa-ca.")
    ] = None,
    tsa_ca: Annotated[
        Path | None, typer.Option("--tsa-ca", help="The roots of the time-stamping authorities.")
    ] = None,
    restore_is_known: Annotated[
        bool, typer.Option("--restore-is-known", help="Accept the restores that are noted.")
    ] = False,
) -> Answer:
    """Verify an export offline. Exit code 0: intact; 1: altered, and where; 2: not an export.

    `restored` (1): a restore gave up what was kept elsewhere; --restore-is-known accepts it.

    What was kept elsewhere also reveals a trail that was cut, or sealed again with the true key.
    """
    from orchestrator.audit.transparency.proof import load_proof
    from orchestrator.audit.transparency.witness import load_cosignatures
    from orchestrator.audit.verify.check import Kept, verify, verify_proof
    from orchestrator.audit.verify.kept_files import load_kept_head, load_tree_head
    from orchestrator.crypto.signing import load_public_key

    key = load_public_key(public_key) if public_key else None
    witnesses = [load_public_key(each) for each in witness_key or []]
    cosignatures = [each for path in cosigned or [] for each in load_cosignatures(path, witnesses)]
    if file.is_file() and (proof := load_proof(file)) is not None:
        return _answer(verify_proof(proof, key, load_tree_head(head)), str(file))
    earlier = load_kept_head(head) if head else None
    stamps = _load_timestamps(timestamps, tsa_ca)
    kept = Kept(earlier, anchor, sink, tuple(cosignatures), stamps, restore_is_known)
    return _answer(verify(file, key, kept), str(file))


def _answer(report: Report, name: str) -> Answer:
    newest = report.head.model_dump(mode="json") if report.head else None
    data = {**asdict(report), "head": newest}
    return Answer(data, "\n".join(render_report(report, name)), _EXIT[report.status])


def _load_timestamps(file: Path | None, roots: Path | None) -> tuple[Stamped, ...]:
    if file is None and roots is None:
        return ()
    if file is None or roots is None:
        raise Invalid("--timestamps and --tsa-ca belong together")
    from orchestrator.audit.timestamp import Authorities, load_timestamps

    return tuple(load_timestamps(file, Authorities.load(roots)))


def _load_head(api: Api) -> TreeHead:
    from orchestrator.audit.transparency.tree_head import TreeHead

    return TreeHead.model_validate(api.get("/v1/audit/head"))


def _load_proof(api: Api, from_batch: int) -> ConsistencyProof:
    from orchestrator.audit.transparency.proof import ConsistencyProof

    found = api.get("/v1/audit/proof", from_batch=from_batch)
    return ConsistencyProof.model_validate(found)


def save_export(api: Api, file: Path) -> Head:
    """Download the trail to a file (mode 600) and return its head. Raise Invalid, Unavailable."""
    from orchestrator.audit.format import HeadLine

    fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    tail = b""
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out, api.stream("/v1/audit/export") as pieces:
                for piece in pieces:
                    out.write(piece)
                    tail = (tail + piece)[-_TAIL:]
                out.flush()
                os.fsync(out.fileno())
            head = HeadLine.model_validate_json(tail.splitlines()[-1] if tail else b"")
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise Invalid(f"{file}: cannot be written ({error.strerror}); name another file") from error
    except ValueError as error:
        raise Unavailable("the export broke off before its end; try again") from error
    return head.head


_TAIL = 4096  # bytes; longer than the last line of an export


def render_report(report: Report, name: str) -> list[str]:
    """Return the lines of a verification report."""
    if report.status == "unreadable":
        head = f"{name}: unreadable"
    else:
        span = f", {report.first} to {report.last}" if report.first else ""
        counts = f"{report.events} events in {report.batches} batches{span}"
        head = f"{name}: {report.status} ({counts})"
    return [head, *report.findings, *(f"note: {note}" for note in report.notes)]
