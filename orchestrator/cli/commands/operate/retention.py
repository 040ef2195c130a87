"""`tocsin retention`: archive old closed records into a file, delete them, and verify archives."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.command import Answer, local_command, noun
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.installation import local_actor, on_installation
from orchestrator.cli.options import Config, DataDir, Yes
from orchestrator.cli.output import print_error, print_line
from orchestrator.cli.selections import confirm

if TYPE_CHECKING:
    from orchestrator.retention.archive import Archived, RetentionPlan
    from orchestrator.retention.verify import ArchiveReport
    from orchestrator.runtime import Runtime

app = noun("Retention: archive old closed incidents and runs, and delete them.")

OlderThan = Annotated[
    str,
    typer.Option("--older-than", metavar="AGE", help="What was over this long ago, such as 365d."),
]


@local_command(app, "plan")
def plan(older_than: OlderThan, data_dir: DataDir = None, config: Config = None) -> Answer:
    """Count by table what would be archived, and what stays and why. Changes nothing."""

    async def work(rt: Runtime) -> RetentionPlan:
        return await _plan(rt, _age(older_than))

    found = on_installation(work, data_dir, config)
    return Answer(_plan_data(found), _describe_plan(found))


@local_command(app, "archive")
def archive(
    older_than: OlderThan,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder of the archive.")],
    yes: Yes = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> Answer:
    """Archive what is old into one file in a folder, verify the file, then delete what is in it.

    The audit trail stays whole. Repeat the command where it was cut off.
    """

    async def work(rt: Runtime) -> Archived | None:
        from orchestrator.retention.archive import archive as archive_records

        found = await _plan(rt, _age(older_than))
        if not found.rows:
            return None
        with redirect_stdout(sys.stderr):
            print_line(_describe_plan(found))
        confirm("Archive and delete these rows", "archive and delete", "rows", yes=yes)
        return await archive_records(rt, found.before, to, actor=local_actor(), report=print_error)

    return _archived(on_installation(work, data_dir, config))


@local_command(app, "verify")
def verify(
    file: Annotated[Path, typer.Argument(help="An archive, with its manifest in the same folder.")],
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            help="audit.pub of the installation that made it: without the installation, and "
            "without its audit trail.",
        ),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> Answer:
    """Verify an archive against its signed manifest, and against the audit trail.

    Exit code 0: intact; 1: altered, and where; 2: not an archive.
    """
    if public_key is not None:
        from orchestrator.crypto.signing import load_public_key
        from orchestrator.retention.verify import check_archive

        return _verified(file, check_archive(file, [load_public_key(public_key)]))

    async def work(rt: Runtime) -> ArchiveReport:
        from orchestrator.retention.verify import check_archive_of

        return await check_archive_of(rt, file)

    return _verified(file, on_installation(work, data_dir, config))


async def _plan(rt: Runtime, older_than: timedelta) -> RetentionPlan:
    from orchestrator.retention.archive import plan_archive
    from orchestrator.retention.cutoff import find_cutoff

    return await plan_archive(rt, await find_cutoff(rt, older_than))


def _age(text: str) -> timedelta:
    from orchestrator.domain.errors import Invalid
    from orchestrator.playbook.language.durations import parse_duration

    try:
        return timedelta(seconds=parse_duration(text))
    except Invalid as error:
        raise Invalid(f"--older-than: {error}") from error


def _plan_data(plan: RetentionPlan) -> dict[str, Any]:
    return {
        "before": plan.before.isoformat(),
        "rows": plan.rows,
        "kept": {reason.value: count for reason, count in plan.kept.items()},
    }


def _describe_plan(plan: RetentionPlan) -> str:
    lines = [f"over before {plan.before:%Y-%m-%d %H:%MZ}: {_count(plan.rows)}"]
    lines += [f"  {name}: {count}" for name, count in plan.rows.items()]
    lines += [f"stay: {count} for {reason.value}" for reason, count in sorted(plan.kept.items())]
    return "\n".join(lines)


def _archived(done: Archived | None) -> Answer:
    if done is None:
        return Answer({"file": None, "rows": {}}, "nothing is old enough, or everything is needed")
    content, removed = done.manifest.content, done.removed
    data = {
        "file": str(done.path),
        "sha256": content.sha256,
        "rows": content.rows,
        "deleted": removed.rows,
        "left": removed.left,
    }
    text = f"{done.path}: {_count(content.rows)} archived, {_count(removed.rows)} deleted"
    if removed.left:
        text += f"; {removed.left} records changed meanwhile, and stay"
    return Answer(data, f"{text}\nsha256 {content.sha256}")


def _verified(file: Path, report: ArchiveReport) -> Answer:
    manifest, findings = report
    data = {"manifest": manifest.model_dump(mode="json"), "findings": findings}
    if findings:
        return Answer(data, "\n".join(findings), ExitCode.NEGATIVE)
    about = f"{_count(manifest.content.rows)}, over before {manifest.before:%Y-%m-%d %H:%MZ}"
    return Answer(data, f"{file}: intact ({about}; installation {manifest.installation})")


def _count(rows: dict[str, int]) -> str:
    number = sum(rows.values())
    return f"{number} row" if number == 1 else f"{number} rows"
