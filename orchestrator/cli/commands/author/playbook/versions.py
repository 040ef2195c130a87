"""Verbs on published versions: `publish`, `list`, `show`, `usage`, `retire`, `roll-back` ..."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, table
from orchestrator.cli.commands.author.playbook.drafts import Files, check_drafts, read_drafts
from orchestrator.cli.filters import Name as NamePart
from orchestrator.cli.filters import Since, SortByName, Until, period
from orchestrator.cli.options import (
    Version,
    parse_optional_version,
    parse_version,
    playbook_file,
    read_text,
)
from orchestrator.domain.errors import Invalid

Name = Annotated[str, typer.Argument(help="The playbook's name.")]
Shadow = Annotated[
    bool, typer.Option("--shadow", help="As a shadow: it runs dry next to the live version.")
]

_COLUMNS = (
    "name",
    "version",
    "title",
    "owner",
    "digest",
    "created_at",
    "published_by",
    "stage",
    "tested",
    "retired",
)
_OPTIONAL = ("digest", "published_by", "tested", "owner")
_USAGE = ("version", "stage", "retired", "takes_alerts", "open_runs", "live_leases")


def register(app: typer.Typer) -> None:
    """Add the verbs to `tocsin playbook`."""
    api_command(app, "publish")(publish)
    api_command(app, "list")(list_versions)
    api_command(app, "show")(show)
    api_command(app, "retire")(retire)
    api_command(app, "reinstate")(reinstate)
    api_command(app, "roll-back")(roll_back)
    api_command(app, "usage")(show_usage)


def publish(api: Api, files: Files, shadow: Shadow = False) -> Answer:
    """Publish versions, which never change afterwards; the newest takes the next alert.

    A folder is published with its tests. Playbooks that are named together may call each other:
    all are checked first, and each is published after those that it calls.
    """
    stage = "shadow" if shadow else "live"
    views = [
        api.post("/v1/playbooks", {**_body(path), "stage": stage})
        for path in _in_order_of_calls(api, files)
    ]
    return Answer(views, "\n".join(_publish_line(view) for view in views))


def _in_order_of_calls(api: Api, paths: list[Path]) -> list[Path]:
    """Return the playbooks, each after those that it calls. Raise with every problem of one."""
    if len(paths) == 1:
        return paths
    checked = check_drafts(api, read_drafts(paths))
    names = [f"{each['playbook']}@{each['version']}" for each in checked]
    calls = {
        name: set(each["calls"]) & set(names) for name, each in zip(names, checked, strict=True)
    }
    order = {name: place for place, name in enumerate(TopologicalSorter(calls).static_order())}
    return [path for _, path in sorted(zip(names, paths, strict=True), key=lambda x: order[x[0]])]


def _publish_line(view: dict[str, Any]) -> str:
    what = f"{view['name']} version {view['version']}"
    match view["outcome"]:
        case "unchanged":
            return f"{what} is already published as {view['stage']}; nothing changed"
        case "tests_added":
            return f"{what} was already published as {view['stage']}; its tests were added"
        case _:
            return f"{what} published as {view['stage']} (digest {view['digest']})"


def list_versions(
    api: Api,
    name: NamePart = None,
    owner: Annotated[str | None, typer.Option(help="Only of this owner.")] = None,
    stage: Annotated[
        Literal["live", "shadow"] | None, typer.Option(help="Only in this stage.")
    ] = None,
    retired: Annotated[
        bool | None,
        typer.Option("--retired/--not-retired", help="Only retired versions, or only others."),
    ] = None,
    person: Annotated[str | None, typer.Option(help="Only published by this person.")] = None,
    built_in: Annotated[
        bool, typer.Option("--built-in", help="The versions that Tocsin made, instead.")
    ] = False,
    since: Since = None,
    until: Until = None,
    order: SortByName = "name",
) -> Answer:
    """List published versions; the time is when they were published."""
    query = {
        **period(since, until),
        "name": name,
        "owner": owner,
        "stage": stage,
        "retired": retired,
        "person": person,
        "built_in": built_in,
        "sort": order,
    }
    return table(api.items("/v1/playbooks", **query), *_COLUMNS, optional=_OPTIONAL)


def show(
    api: Api,
    name: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A playbook, or one version of it.")
    ],
    version: Annotated[
        int | None, typer.Option(help="The version; without it, the newest.")
    ] = None,
) -> Answer:
    """Show a published version as its author wrote it."""
    name, named = parse_optional_version(name)
    if None not in {version, named} and version != named:
        raise Invalid(f"version {named} or --version {version}? Name one")
    version = named if version is None else version
    view = api.get(f"/v1/playbooks/{name}", version=version)
    return Answer(view, view["source"], raw=True)


def retire(api: Api, version: Version) -> Answer:
    """Start no new run with a version; open runs continue."""
    name, number = parse_version(version)
    view = api.post(f"/v1/playbooks/{name}/{number}/retire")
    return Answer(view, f"{name} version {number} retired")


def reinstate(api: Api, version: Version) -> Answer:
    """Allow new runs of a retired version again."""
    name, number = parse_version(version)
    usage = api.post(f"/v1/playbooks/{name}/{number}/reinstate")
    return Answer(usage, f"{name} version {number} reinstated")


def roll_back(
    api: Api,
    name: Name,
    to: Annotated[int, typer.Option("--to", help="The version that takes alerts again.")],
) -> Answer:
    """Go back to an earlier version: newer versions are retired, open runs continue unchanged."""
    answer = api.post(f"/v1/playbooks/{name}/roll-back", {"to": to})
    retired = ", ".join(map(str, answer["retired"]))
    return Answer(
        answer,
        f"{name} version {to} takes the next alert" + (f"; retired: {retired}" if retired else ""),
    )


def show_usage(api: Api, name: Name) -> Answer:
    """List versions with their open runs and live leases."""
    return table(api.get(f"/v1/playbooks/{name}/usage"), *_USAGE)


def _body(path: Path) -> dict[str, Any]:
    if path.is_dir():
        from orchestrator.registry.folder import read_playbook

        playbook = read_playbook(path).model_dump(mode="json")
        return playbook if playbook["tests"] is not None else {**playbook, "files": {}}
    file = playbook_file(path)
    return {"text": read_text(file), "file": str(file)}
