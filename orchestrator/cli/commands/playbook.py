"""`tocsin playbook`: is it good, and which versions are published?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.commands import (
    debug,
    playbook_check,
    playbook_write,
    promotion,
    recording,
    rehearsal,
)
from orchestrator.cli.commands.graph import graph
from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_text, within
from orchestrator.cli.output import console, listing, say
from orchestrator.registry import playbooks
from orchestrator.registry.folder import beside
from orchestrator.runtime import Runtime

app = typer.Typer(help="Check, publish and look at playbooks.", no_args_is_help=True)

app.command("new")(playbook_write.new)
app.command("schema")(playbook_write.schema)
app.command("editor")(playbook_write.editor)
app.command("graph")(graph)
app.command("lint")(playbook_check.lint)
app.command("diff")(playbook_check.diff)
app.command("test")(rehearsal.rehearse)
app.command("record")(recording.record)
app.command("debug")(debug.debug)
app.command("sign")(promotion.sign)
app.command("bundle")(promotion.bundle)
app.command("promote")(promotion.promote)
app.command("reinstate")(promotion.reinstate)
app.command("roll-back")(promotion.roll_back)
app.command("usage")(promotion.usage)
app.command("sync")(promotion.synchronize)

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Playbooks, or folders that hold a playbook.yaml."),
]
Name = Annotated[str, typer.Argument(help="The playbook's name.")]


@app.command("check")
def check(files: Files, data_dir: DataDir = None, config: Config = None) -> None:
    """Say what is wrong, by file, line, column and step; names of connections are those of this data directory."""

    async def look(runtime: Runtime) -> None:
        for file in map(_playbook, files):
            compiled = await playbooks.check_playbook(runtime, read_text(file), str(file))
            say(f"{file}: good ({compiled.plan.playbook} version {compiled.plan.version})")

    within(data_dir, config, look)


@app.command("publish")
def publish(
    files: Files, shadow: promotion.Shadow = False, data_dir: DataDir = None, config: Config = None
) -> None:
    """Publish; a published version never changes, and the newest takes the next alert. A folder brings its tests along."""

    async def publish_each(runtime: Runtime) -> None:
        for path in files:
            file, tests = _playbook(path), beside(path) if path.is_dir() else None
            stage: Literal["live", "shadow"] = "shadow" if shadow else "live"
            view = await playbooks.publish_playbook(
                runtime, read_text(file), str(file), actor=actor(), beside=tests, stage=stage
            )
            say(
                f"published {view.name} version {view.version}{' as a shadow' if shadow else ''} (digest {view.digest})"
            )

    within(data_dir, config, publish_each)


@app.command("list")
def versions(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """All published versions."""
    found = within(data_dir, config, playbooks.list_playbooks)
    listing(
        found,
        (
            "name",
            "version",
            "title",
            "owner",
            "digest",
            "published_at",
            "published_by",
            "stage",
            "tested",
            "retired",
        ),
        as_json=as_json,
    )


@app.command("retire")
def retire(version: promotion.Version, data_dir: DataDir = None, config: Config = None) -> None:
    """Start no new run with a version; those that run go on."""
    name, number = promotion.named(version)
    within(
        data_dir,
        config,
        lambda runtime: playbooks.retire_playbook(runtime, name, number, actor=actor()),
    )
    say(f"{name} version {number} is retired")


@app.command("show")
def show(
    name: Name,
    version: Annotated[int | None, typer.Option(help="Which; else the newest.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """A published version, as its author wrote it."""
    console.out(
        within(
            data_dir, config, lambda runtime: playbooks.get_playbook(runtime, name, version)
        ).source,
        highlight=False,
    )


def _playbook(path: Path) -> Path:
    return path / "playbook.yaml" if path.is_dir() else path
