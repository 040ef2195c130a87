"""`tocsin playbook`: is it good, and which versions are published?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_text, within
from orchestrator.cli.show import console, listing, say, show_json
from orchestrator.configuration import playbooks
from orchestrator.playbook.editor_schema import editor_schema

app = typer.Typer(help="Check, publish and look at playbooks.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Playbooks, or folders that hold a playbook.yaml.")]
Name = Annotated[str, typer.Argument(help="The playbook's name.")]


@app.command("check")
def check(files: Files, data_dir: DataDir = None, config: Config = None) -> None:
    """Say what is wrong, by file, line, column and step; names of connections are those of this data directory."""
    for file in map(_playbook, files):
        text = read_text(file)
        compiled = within(data_dir, config, lambda runtime, text=text, file=file: playbooks.check_playbook(runtime, text, str(file)))
        say(f"{file}: good ({compiled.plan.playbook} version {compiled.plan.version}, digest {compiled.digest})")


@app.command("publish")
def publish(files: Files, data_dir: DataDir = None, config: Config = None) -> None:
    """Publish; a published version never changes, and the newest takes the next alert."""
    for file in map(_playbook, files):
        text = read_text(file)
        view = within(
            data_dir, config, lambda runtime, text=text, file=file: playbooks.publish_playbook(runtime, text, str(file), actor=actor())
        )
        say(f"published {view.name} version {view.version} (digest {view.digest})")


@app.command("list")
def versions(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:  # noqa: FBT002  typer's way
    """All published versions."""
    found = within(data_dir, config, playbooks.list_playbooks)
    listing(found, ("name", "version", "title", "owner", "digest", "published_at", "published_by", "retired"), as_json=as_json)


@app.command("show")
def show(
    name: Name,
    version: Annotated[int | None, typer.Option(help="Which; else the newest.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """A published version, as its author wrote it."""
    console.out(within(data_dir, config, lambda runtime: playbooks.get_playbook(runtime, name, version)).source, highlight=False)


@app.command("schema")
def schema() -> None:
    """The JSON Schema that an editor checks playbooks with."""
    show_json(editor_schema())


def _playbook(path: Path) -> Path:
    return path / "playbook.yaml" if path.is_dir() else path
