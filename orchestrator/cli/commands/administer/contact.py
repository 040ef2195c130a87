"""`tocsin contact`: how people are notified."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import Name as NamePart
from orchestrator.cli.filters import Since, SortByName, Until, period

app = noun("Contacts: how people are notified.")

Person = Annotated[str, typer.Argument(help="The person, named as in their API keys.")]


@api_command(app, "set")
def save(
    api: Api,
    person: Person,
    email: Annotated[
        str | None, typer.Option(help="The address for mails with one-time links.")
    ] = None,
    slack: Annotated[
        str | None, typer.Option(help="Their member id in Slack, such as U012AB3CD4.")
    ] = None,
) -> Answer:
    """Set how a person is notified; replaces what was set before and ends the links sent so far."""
    body = {"email": email, "slack_user": slack}
    contact = api.put(f"/v1/contacts/{quote(person, safe='')}", body)
    ways = ", ".join(filter(None, (contact["email"], contact["slack_user"])))
    return Answer(contact, f"contact {person} saved: {ways}")


@api_command(app, "list")
def list_contacts(
    api: Api,
    name: NamePart = None,
    channel: Annotated[
        Literal["email", "slack"] | None, typer.Option(help="Only who is reached by it.")
    ] = None,
    since: Since = None,
    until: Until = None,
    order: SortByName = "name",
) -> Answer:
    """List contacts; the time is when they were saved last."""
    query = {**period(since, until), "name": name, "channel": channel, "sort": order}
    found = api.items("/v1/contacts", **query)
    return table(found, "person", "email", "slack_user", "updated_at")


@api_command(app, "remove")
def remove(api: Api, person: Person) -> Answer:
    """Stop notifying a person."""
    api.delete(f"/v1/contacts/{quote(person, safe='')}")
    return Answer({"person": person}, f"contact {person} removed")
