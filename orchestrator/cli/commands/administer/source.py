"""`tocsin source`: products that send alerts, and how they authenticate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.commands.administer.source_rejected import app as rejected
from orchestrator.cli.commands.administer.source_trial import describe_trial
from orchestrator.cli.filters import Name as NamePart
from orchestrator.cli.filters import Since, SortByName, Until, period
from orchestrator.cli.options import parse_pairs, parse_seconds, read_json_object, read_text
from orchestrator.cli.tables import format_time
from orchestrator.domain.errors import Invalid

app = noun("Sources: products that send alerts.")
app.add_typer(rejected, name="rejected")

_COUNTS = ("accepted", "duplicates", "unreadable", "refused")

Name = Annotated[str, typer.Argument(help="The last part of its URL: /v1/webhooks/NAME.")]
Senders = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="NETWORK",
        help="A network that its requests must come from, such as 192.0.2.0/24. Repeatable.",
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="Holds the secret; without it, one is generated and printed once."),
]
Scheme = Literal["standard_webhooks", "github", "header", "bearer", "basic"]


@api_command(app, "add")
def add(
    api: Api,
    name: Name,
    product: Annotated[str, typer.Option(help="The product: suricata, wazuh, generic, ...")],
    auth: Annotated[Scheme, typer.Option(help="How the sender authenticates.")],
    secret_file: SecretFile = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the scheme, such as header=x-my-token. Repeatable."),
    ] = None,
    mapping_file: Annotated[
        Path | None, typer.Option(help="JSON: the fields of a generic product.")
    ] = None,
    correlate_by: Annotated[
        str,
        typer.Option(help="What joins alerts into an incident: host, user, remote, rule, none."),
    ] = "host",
    correlate_within: Annotated[
        str, typer.Option(help="For how long alerts are joined, such as 1h.")
    ] = "1h",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Its alerts start dry runs, which change nothing.")
    ] = False,
    sender: Senders = None,
) -> Answer:
    """Accept alerts of a product at /v1/webhooks/NAME."""
    body: dict[str, Any] = {
        "name": name,
        "product": product,
        "scheme": auth,
        "secret": read_text(secret_file).strip() if secret_file else None,
        "options": parse_pairs(option, "--option"),
        "mapping": read_json_object(mapping_file) if mapping_file else None,
        "correlate_by": correlate_by,
        "correlate_within": parse_seconds(correlate_within, "--correlate-within"),
        "mode": "dry_run" if dry_run else "live",
        "senders": sender or [],
    }
    source = api.post("/v1/sources", body)
    first = f"source {name}: POST /v1/webhooks/{name} accepts {product}, authenticated by {auth}"
    return Answer(source, "\n".join([first, *_secret_lines(source)]))


@api_command(app, "list")
def list_sources(
    api: Api,
    name: NamePart = None,
    product: Annotated[str | None, typer.Option(help="Only of this product.")] = None,
    auth: Annotated[Scheme | None, typer.Option(help="Only authenticated so.")] = None,
    mode: Annotated[
        Literal["live", "dry_run"] | None, typer.Option(help="Only whose alerts start such runs.")
    ] = None,
    since: Since = None,
    until: Until = None,
    order: SortByName = "name",
) -> Answer:
    """List sources, without their secrets; the time is when they were added."""
    query = {
        **period(since, until),
        "name": name,
        "product": product,
        "scheme": auth,
        "mode": mode,
        "sort": order,
    }
    return table(
        api.items("/v1/sources", **query),
        "name",
        "product",
        "scheme",
        "correlate_by",
        "correlate_within",
        "mode",
        "old_secret_expires_at",
        "created_at",
        optional=("old_secret_expires_at",),
    )


@api_command(app, "show")
def show(api: Api, name: Name) -> Answer:
    """Show a source, and what it sent over the last seven days."""
    source = api.get(f"/v1/sources/{name}")
    counts = source["activity"]
    last = counts["last_seen_at"]
    lines = [
        f"source {name}: {source['product']}, authenticated by {source['scheme']}",
        f"last seen: {format_time(last, wide=True) if last else 'not in the last seven days'}",
        *(f"{each}: {counts[each]}" for each in _COUNTS),
        f"rejected deliveries that can be replayed: {counts['rejected_kept']}",
        f"mode: {source['mode']}",
        *_old_secret_lines(source),
        f"correlates by: {source['correlate_by']}, within {source['correlate_within']} s",
        f"from: {', '.join(source['senders']) or 'any network'}",
    ]
    return Answer(source, "\n".join(lines))


@api_command(app, "set")
def set_(
    api: Api,
    name: Name,
    mapping_file: Annotated[
        Path | None, typer.Option(help="JSON: the fields of a generic product.")
    ] = None,
    correlate_by: Annotated[
        str | None,
        typer.Option(help="What joins alerts into an incident: host, user, remote, rule, none."),
    ] = None,
    correlate_within: Annotated[
        str | None, typer.Option(help="For how long alerts are joined, such as 1h.")
    ] = None,
    mode: Annotated[Literal["live", "dry_run"] | None, typer.Option(help="Of its runs.")] = None,
    sender: Senders = None,
    from_any: Annotated[
        bool, typer.Option("--from-any", help="Accept requests from any network.")
    ] = False,
) -> Answer:
    """Change a source and keep its secret; what is not given stays as it is."""
    given: dict[str, Any] = {
        "mapping": read_json_object(mapping_file) if mapping_file else None,
        "correlate_by": correlate_by,
        "correlate_within": parse_seconds(correlate_within, "--correlate-within")
        if correlate_within
        else None,
        "mode": mode,
        "senders": sender or ([] if from_any else None),
    }
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise Invalid("nothing to change; give an option, such as --mapping-file FILE")
    source = api.patch(f"/v1/sources/{name}", changes)
    return Answer(source, f"source {name} changed: {', '.join(sorted(changes))}")


@api_command(app, "rotate-secret")
def rotate_secret(
    api: Api,
    name: Name,
    overlap: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="How long the secret that it has is accepted too; or 0s."
        ),
    ] = "24h",
    secret_file: SecretFile = None,
) -> Answer:
    """Give a source a new secret, and time to change it where the product sends from."""
    body = {
        "overlap": 0 if overlap == "0s" else parse_seconds(overlap, "--overlap"),
        "secret": read_text(secret_file).strip() if secret_file else None,
    }
    source = api.post(f"/v1/sources/{name}/rotate", body)
    until = source["old_secret_expires_at"]
    lines = [f"source {name}: the secret is rotated"]
    lines.append(
        f"the secret before it is accepted until {format_time(until, wide=True)}"
        if until
        else "the secret before it is refused from now on"
    )
    return Answer(source, "\n".join([*lines, *_secret_lines(source)]))


@api_command(app, "test")
def try_files(
    api: Api,
    name: Name,
    files: Annotated[list[Path], typer.Argument(help="What the product would send.")],
    mapping_file: Annotated[
        Path | None, typer.Option(help="A mapping to try, instead of the source's.")
    ] = None,
) -> Answer:
    """Show what would come out of payloads. Nothing is stored, and nothing starts."""
    mapping = read_json_object(mapping_file) if mapping_file else None
    tried = {
        str(file): api.post(
            f"/v1/sources/{name}/test", {"body": read_text(file), "mapping": mapping}
        )
        for file in files
    }
    lines = [line for file, trial in tried.items() for line in describe_trial(file, trial)]
    return Answer(tried, "\n".join(lines))


@api_command(app, "remove")
def remove(api: Api, name: Name) -> Answer:
    """Accept no more alerts of a source; its alerts are kept."""
    api.delete(f"/v1/sources/{name}")
    return Answer({"name": name}, f"source {name} removed")


def _secret_lines(source: dict[str, Any]) -> list[str]:
    """Return the lines that show a generated secret."""
    secret = source["secret"]
    return [] if secret is None else ["secret, shown only now:", secret]


def _old_secret_lines(source: dict[str, Any]) -> list[str]:
    until = source["old_secret_expires_at"]
    return [f"accepts the secret before until: {format_time(until, wide=True)}"] if until else []
