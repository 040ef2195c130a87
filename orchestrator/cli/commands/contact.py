"""`tocsin contact`: how are people reached?"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, actor, within
from orchestrator.cli.output import listing, say
from orchestrator.notifications import contacts

app = typer.Typer(help="How people are reached when they are asked.", no_args_is_help=True)


@app.command("set")
def save(
    person: Annotated[
        str,
        typer.Argument(
            help="The name that their API keys carry; from there comes what they may decide."
        ),
    ],
    email: Annotated[str | None, typer.Option(help="Where mails with one-time links go.")] = None,
    slack: Annotated[
        str | None, typer.Option(help="Their member id in Slack, such as U012AB3CD4.")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Set how a person is reached, in place of what was set before. Links that went to them before end."""
    saved = within(
        data_dir,
        config,
        lambda runtime: contacts.save_contact(runtime, person, email, slack, actor=actor()),
    )
    say(f"{saved.person} is reached by {', '.join(filter(None, (saved.email, saved.slack_user)))}")


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """Everybody who can be reached."""
    listing(
        within(data_dir, config, contacts.list_contacts),
        ("person", "email", "slack_user", "saved_at"),
        as_json=as_json,
    )


@app.command("remove")
def remove(person: str, data_dir: DataDir = None, config: Config = None) -> None:
    """Tell a person nothing any more."""
    within(
        data_dir, config, lambda runtime: contacts.remove_contact(runtime, person, actor=actor())
    )
    say(f"{person} hears nothing any more")
