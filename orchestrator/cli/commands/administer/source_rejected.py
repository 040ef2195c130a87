"""`tocsin source rejected`: what a source sent that could not be read, and its replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.filters import Oldest, Since, Until, period, sort
from orchestrator.cli.ids import find_id
from orchestrator.cli.options import Limit
from orchestrator.domain.errors import Invalid

app = noun("Rejected deliveries: what a source sent that could not be read.")

Source = Annotated[str, typer.Argument(help="The source's name.")]
Id = Annotated[str, typer.Argument(help="The delivery's id, as `list` shows it.")]


@api_command(app, "list")
def list_rejected(
    api: Api,
    source: Source,
    state: Annotated[Literal["kept", "replayed", "all"], typer.Option(help="Of which state.")] = (
        "kept"
    ),
    reason: Annotated[str | None, typer.Option(help="Only rejected for this.")] = None,
    since: Since = None,
    until: Until = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List the rejected deliveries of a source, newest first."""
    query = {**period(since, until), "state": state, "reason": reason, "sort": sort(oldest=oldest)}
    found = api.items(f"/v1/sources/{source}/rejected", limit, **query)
    return table(found, "id", "reason", "status", "seen", "last_seen_at", "detail")


@api_command(app, "show")
def show(
    api: Api,
    source: Source,
    id_: Id,
    body_file: Annotated[
        Path | None, typer.Option(help="Write the body as it was sent to this file.")
    ] = None,
) -> Answer:
    """Show a rejected delivery, and with --body-file save its body."""
    path = f"/v1/sources/{source}/rejected/{_find(api, source, id_)}"
    found = api.get(path)
    if body_file is not None:
        with api.stream(f"{path}/body") as pieces:
            _write(body_file, pieces)
    lines = [f"{name}: {value}" for name, value in found.items() if name != "items"]
    lines += [f"item {item['index']}: {item['reason']}" for item in found["items"]]
    return Answer(found, "\n".join(lines))


@api_command(app, "replay")
def replay(
    api: Api,
    source: Source,
    id_: Annotated[str | None, typer.Argument(help="The delivery's id; or --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every kept delivery.")] = False,
) -> Answer:
    """Read rejected deliveries again, with the mapping that the source has now."""
    if (id_ is None) is not every:
        raise Invalid("name one delivery, or give --all")
    path = f"/v1/sources/{source}/rejected"
    if id_ is None:
        done = list(_all(api, path))
    else:
        done = [api.post(f"{path}/{_find(api, source, id_)}/replay")]
    left = [each for each in done if each["state"] == "kept"]
    lines = [_line(each) for each in done] or ["no delivery is kept"]
    return Answer(done, "\n".join(lines), ExitCode.NEGATIVE if left else ExitCode.DONE)


def _find(api: Api, source: str, text: str) -> str:
    return find_id(api, f"/v1/sources/{source}/rejected", text, states=("all",))


def _all(api: Api, path: str) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        answer = api.post(f"{path}/replay", {"after": after}, seconds=120)
        yield from answer["replays"]
        after = answer["next"]
        if after is None:
            return


def _line(done: dict[str, Any]) -> str:
    alerts = done["accepted"]["alerts"] if done["accepted"] else []
    new = sum(not alert["duplicate"] for alert in alerts)
    outcome = f"{new} new alerts, {len(alerts) - new} duplicates"
    return f"{done['id']}: {done['state']}: {outcome}" + (
        f"; {done['detail']}" if done["detail"] else ""
    )


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise Invalid(f"{path}: cannot be written ({error.strerror}); name another file") from error
