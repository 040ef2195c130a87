"""`tocsin playbook record`: a run that was becomes a case of a playbook's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.authoring.recording.service import RecordedRun, record_run
from orchestrator.authoring.rehearsal.tests_yaml.edit import added
from orchestrator.cli.api_client import Remote, Url, remote
from orchestrator.cli.options import AsJson, Config, DataDir, read_text, within
from orchestrator.cli.output import console, errors, say, show_json
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.yaml import load


def record(
    run_id: Annotated[str, typer.Argument(help="The run's id; it has to be over.")],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="FOLDER", help="Put it behind the cases of FOLDER/tests.yaml."
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Write a run as a tests.yaml: alert, stubs, answers, expectations; secrets and personal data masked. It is rehearsed at once.

    With --url from that installation, through its API; else from the data directory, for which no stack has to run.
    """
    found = (
        _of_api(remote(data_dir, config, url), run_id)
        if url
        else within(data_dir, config, lambda runtime: record_run(runtime, run_id))
    )
    if into is not None:
        _put(found, into / "tests.yaml")
    elif as_json:
        show_json(found.model_dump(mode="json"))
    else:
        console.out(found.tests, end="", highlight=False)
    for each in (*found.notes, *found.differences):
        errors.out(each, highlight=False)
    raise typer.Exit(0 if found.passes else 1)


def _of_api(api: Remote, run_id: str) -> RecordedRun:
    return RecordedRun.model_validate(api.get(f"/v1/runs/{run_id}/case"))


def _put(found: RecordedRun, path: Path) -> None:
    """Behind the cases that are there, which stay as they are. Raises Invalid where they are those of another playbook."""
    text = found.tests
    if path.exists():
        before = read_text(path)
        text = added(before, str(path), found.case, found.notes)
        if (named := load(before).data.get("playbook")) != found.playbook:
            raise Invalid(
                f"{path}: holds the tests of {named}, and run {found.run_id} is one of {found.playbook}; name its folder"
            )
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be written ({error.strerror}); name another folder"
        ) from error
    say(f"{path}: has the case of run {found.run_id}")
