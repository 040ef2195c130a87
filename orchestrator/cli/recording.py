"""`tocsin playbook record`: a run that was becomes a case of a playbook's tests."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, within
from orchestrator.cli.show import console, errors, show_json
from orchestrator.staging.recording import record_run


def record(
    run_id: Annotated[str, typer.Argument(help="The run's id; it has to be over.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Write a run as a tests.yaml: alert, stubs, answers, expectations; secrets and personal data masked. It is rehearsed at once."""
    found = within(data_dir, config, lambda runtime: record_run(runtime, run_id))
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        console.out(found.tests, end="", highlight=False)
    for each in (*found.notes, *found.differences):
        errors.out(each, highlight=False)
    raise typer.Exit(0 if found.passes else 1)
