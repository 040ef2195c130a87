"""`tocsin backtest`: what would a draft have done about the alerts that came?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.text import Text

from orchestrator.authoring.backtest.page import backtest_page
from orchestrator.authoring.backtest.read_resolver import Reads
from orchestrator.authoring.backtest.replay import MOST_ALERTS
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import Draft, Wish, backtested
from orchestrator.authoring.outcomes import Difference, Example
from orchestrator.cli.options import AsJson, Config, DataDir, length, read_text, within
from orchestrator.cli.output import console, errors, say, show_json, visible
from orchestrator.domain.errors import Invalid, TocsinError

_GRAVE = {Difference.CONTAINED_MORE, Difference.ASKED_LESS, Difference.FAILED}


def backtest(
    draft: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@DRAFT]",
            help="A playbook, and a file, a folder or a version of it; else what takes alerts.",
        ),
    ],
    since: Annotated[str, typer.Option(metavar="TIME", help="How far back, such as 30d.")] = "30d",
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this source's alerts, as if no others had come."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="At most so many alerts, the newest.")
    ] = MOST_ALERTS,
    reads: Annotated[
        Reads,
        typer.Option(
            help="What answers a read that was not recorded: nothing, the real system, stubs, unknown."
        ),
    ] = (Reads.RECORDED),
    stubs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A tests.yaml for --reads stub; else the one beside the draft."
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge by this policy; else by the one in force."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with a plot over time.")
    ] = None,
    json_: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Play a draft over stored alerts, and tell how it differs from what was done. Changes nothing.

    Exit 0: it differs in nothing; 1: it does; 2: it could not be played.
    """
    try:
        found = _played(draft, stubs, Asked(since, source, limit, reads, policy), data_dir, config)
    except TocsinError as error:
        errors.print(Text(f"tocsin: {visible(str(error))}"))
        raise typer.Exit(2) from error
    if html is not None:
        _write(html, backtest_page(found))
    if json_:
        show_json(found.model_dump(mode="json"))
    else:
        _show(found)
    raise typer.Exit(1 if found.differs else 0)


class Asked(NamedTuple):
    """The options that say how it is played."""

    since: str
    source: str | None
    limit: int
    reads: Reads
    policy: Path | None


def _played(
    draft: str, stubs: Path | None, asked: Asked, data_dir: Path | None, config: Path | None
) -> Backtest:
    tried, policy = _draft(draft, stubs), asked.policy
    wish = Wish(
        since=length(asked.since, "--since"),
        source=asked.source,
        limit=asked.limit,
        reads=asked.reads,
        policy=None if policy is None else read_text(policy),
        policy_file=str(policy or "policy.yaml"),
    )
    return within(data_dir, config, lambda rt: backtested(rt, tried, wish))


def _draft(written: str, stubs: Path | None) -> Draft:
    name, _, which = written.partition("@")
    tests, tests_file = (
        (read_text(stubs), str(stubs)) if stubs is not None else (None, "tests.yaml")
    )
    if not which or which.isdecimal():
        return Draft(
            name=name, version=int(which) if which else None, tests=tests, tests_file=tests_file
        )
    place = Path(which)
    file = place / "playbook.yaml" if place.is_dir() else place
    beside = file.with_name("tests.yaml")
    if tests is None and beside.exists():
        tests, tests_file = read_text(beside), str(beside)
    return Draft(
        text=read_text(file), file=str(file), name=name or None, tests=tests, tests_file=tests_file
    )


def _show(found: Backtest) -> None:
    console.print(Text(visible(found.draft), style="bold"))
    more = "; there were more, the newest were looked at" if found.more_alerts else ""
    say(
        f"{found.alerts} alerts from {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC{more}"
    )
    say(
        f"started then {found.started_then}, by the draft {found.started_now}; alike in all {found.same}"
    )
    reads = found.reads
    say(
        f"reads: {reads.recorded} recorded, {reads.live} live, {reads.stub} by stubs, {reads.unknown} unknown"
    )
    for group in found.groups:
        alerts = "1 alert" if group.count == 1 else f"{group.count} alerts"
        console.print(
            Text(
                f"\n{group.difference.value}: {alerts}",
                style="bold red" if group.difference in _GRAVE else "bold yellow",
            )
        )
        for each in group.examples:
            _example(each)
        if group.count > len(group.examples):
            say(f"  and {group.count - len(group.examples)} more")
    if not found.groups:
        say("no difference")


def _example(each: Example) -> None:
    about = each.about
    console.print(
        Text(f"  {about.alert_id}  {about.received_at[:16].replace('T', ' ')}  ", style="dim")
        + Text(visible(about.title))
    )
    for what in each.what:
        say(f"      {what}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"{path}: cannot be written ({error.strerror}); name another file") from error
