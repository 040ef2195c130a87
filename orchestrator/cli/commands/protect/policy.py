"""`tocsin policy`: protected assets, limits, and which changes need approval."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_command, draft_command, noun, table
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.filters import Oldest, Since, Until, period, sort
from orchestrator.cli.options import Limit, Yes, read_text
from orchestrator.cli.output import print_error
from orchestrator.cli.selections import ask
from orchestrator.domain.errors import Conflict, Invalid, NotFound

app = noun("The policy: protected assets, limits, and which changes need approval.")

File = Annotated[Path, typer.Argument(help="A policy in YAML.")]
Over = Annotated[
    int | None,
    typer.Option(
        "--over",
        metavar="VERSION",
        help="The version that you have seen in force; another one in force is an error.",
    ),
]
_SIDE = "A version, or a file with a draft."


@api_command(app, "show")
def show(
    api: Api,
    version: Annotated[
        int | None, typer.Option(min=1, help="An earlier one; without it, the policy in force.")
    ] = None,
) -> Answer:
    """Show a policy as it was published."""
    view = api.get("/v1/policy" if version is None else f"/v1/policy/versions/{version}")
    return Answer(view, view["source"], raw=True)


@api_command(app, "history")
def list_versions(
    api: Api,
    person: Annotated[str | None, typer.Option(help="Only published by this person.")] = None,
    since: Since = None,
    until: Until = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List the policies that were published, newest first."""
    query = {**period(since, until), "person": person, "sort": sort(oldest=oldest)}
    found = api.items("/v1/policy/versions", limit, **query)
    return table(found, "version", "in_force", "created_at", "published_by", "digest")


@api_command(app, "diff")
def diff(
    api: Api,
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[
        str | None,
        typer.Argument(metavar="[B]", help="The same; without it, the policy in force is A."),
    ] = None,
) -> Answer:
    """Compare two policies: the lines that differ, and what is protected no longer.

    Exit code 0: the same; 1: different.
    """
    before, after = ({}, _side(a)) if b is None else (_side(a), _side(b))
    found = api.post("/v1/policy/diff", {"a": before, "b": after})
    _warn(found["lost"])
    same = found["same"] and not found["diff"]
    text = found["diff"] or f"{found['a']} and {found['b']} are the same\n"
    return Answer(found, text, ExitCode.DONE if same else ExitCode.NEGATIVE, raw=True)


@api_command(app, "roll-back")
def roll_back(
    api: Api,
    to: Annotated[int, typer.Option("--to", min=1, help="The version that is in force again.")],
    over: Over = None,
    yes: Yes = False,
) -> Answer:
    """Publish an earlier policy again, as a new version; warns where a protection goes away.

    On a terminal, it asks first.
    """
    etag = _version_in_force(api, over)
    if etag is not None and not yes:
        _confirm_losses(api, {"version": to})
    view = api.post("/v1/policy/roll-back", {"to": to}, if_match=etag)
    _warn(view["warnings"])
    return Answer(view, f"policy version {view['version']} in force, with the text of {to}")


@api_command(app, "check")
def check(api: Api, file: File) -> Answer:
    """Report errors of a policy by line and column, and likely mistakes given the inventory."""
    checked = api.post("/v1/policy/check", {"text": read_text(file), "file": str(file)})
    _warn(checked["warnings"])
    count = len(checked["warnings"])
    return Answer(checked, f"{file}: valid" + (f", {count} warnings" if count else ""))


@api_command(app, "publish")
def publish(
    api: Api,
    file: File,
    over: Over = None,
    yes: Yes = False,
) -> Answer:
    """Put a policy in force, for every change from now on; warns where a protection goes away.

    On a terminal, it asks first.
    """
    body, etag = {"text": read_text(file)}, _version_in_force(api, over)
    if etag is not None and not yes:
        _confirm_losses(api, body)
    view = api.put("/v1/policy", body, if_match=etag)
    _warn(view["warnings"])
    return Answer(view, f"policy version {view['version']} in force (digest {view['digest']})")


def _confirm_losses(api: Api, after: dict[str, Any]) -> None:
    """Ask on a terminal whether protections may go away. Raise Invalid without a y."""
    if not sys.stdin.isatty():
        return
    lost = api.post("/v1/policy/diff", {"a": {}, "b": after})["lost"]
    if lost:
        _warn(lost)
        ask("Put it in force all the same")


def _version_in_force(api: Api, wanted: int | None) -> str | None:
    """Return the ETag of the policy in force. Raise Conflict if it is not the wanted version."""
    try:
        view, etag = api.get_with_etag("/v1/policy")
    except NotFound:
        return None
    if wanted is not None and view["version"] != wanted:
        raise Conflict(
            f"version {view['version']} is in force, by {view['published_by']}, not {wanted}; "
            "compare it (`tocsin policy show`) and publish over it"
        )
    return etag


@draft_command(app, "test")
def run_tests(
    api: Api | None,
    file: Annotated[Path, typer.Argument(help="Tests of a policy, such as policy.tests.yaml.")],
    junit: Annotated[bool, typer.Option("--junit", help="Print JUnit XML.")] = False,
) -> Answer:
    """Run the test cases of a policy; exit code 1 if one fails.

    Offline, with the usual connection names; with --url, --context or --data-dir, with those of the
    installation.
    """
    from orchestrator.policy.tests import CaseResult, junit_xml, policy_file_of, run_cases

    text = read_text(file)
    policy = file.parent / policy_file_of(text, str(file))
    if api is not None:
        body = {"policy": read_text(policy), "tests": text}
        cases = api.post("/v1/policy/test", body)["cases"]
        results = [CaseResult.model_validate(each) for each in cases]
    else:
        from orchestrator.connections.catalogue import usual_catalogue
        from orchestrator.policy.document import parse_policy

        parsed = parse_policy(read_text(policy), str(policy))
        results = list(run_cases(text, str(file), parsed, usual_catalogue()))
    data = [each.model_dump(mode="json") for each in results]
    failed = sum(each.failure is not None for each in results)
    code = ExitCode.NEGATIVE if failed else ExitCode.DONE
    if junit:
        return Answer(data, junit_xml(results, str(file)) + "\n", code, raw=True)
    lines = [_case(file, each) for each in data]
    lines.append(f"{len(data)} cases, {failed} failed")
    return Answer(data, "\n".join(lines), code)


@api_command(app, "explain")
def explain(
    api: Api,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A draft; without it, the policy in force."),
    ] = None,
    action: Annotated[str | None, typer.Option(help="Such as firewall.block_address.")] = None,
    target: Annotated[str | None, typer.Option(help="Such as address:203.0.113.5.")] = None,
    effect: Annotated[
        str | None,
        typer.Option(help="Of an action that no connector has; or release: lifting by hand."),
    ] = None,
    approved_by: Annotated[
        list[str] | None,
        typer.Option(help="A group that approved what a release or restore lifts. Repeatable."),
    ] = None,
    playbook: Annotated[str, typer.Option(help="The playbook that makes the change.")] = "",
    source: Annotated[str | None, typer.Option(help="The source of the alert.")] = None,
    severity: Annotated[int, typer.Option(help="The severity of the alert, 0 to 6.")] = 0,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Such as 2026-03-07T23:30:00+01:00; without it, now."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="A tag of the target, in addition to the inventory's. Repeatable."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="A real run, with --step.")] = None,
    step: Annotated[
        str | None, typer.Option(metavar="PATH", help="The step of the run that planned a change.")
    ] = None,
) -> Answer:
    """Evaluate a change, and show which rule, protection or limit decides. Nothing is done."""
    if (run is None) != (step is None) or (run is None) == (action is None or target is None):
        raise Invalid("give --action and --target, or --run and --step")
    draft = {} if file is None else {"policy": read_text(file)}
    if run is not None:
        found = api.post("/v1/policy/evaluate-step", {"run_id": run, "step": step, **draft})
    else:
        change: dict[str, Any] = {
            "action": action,
            "target": _target(str(target)),
            "effect": effect,
            "approved_by": approved_by or [],
            "playbook": playbook,
            "source": source,
            "severity": severity,
            "at": at,
            "tags": tag or [],
            **draft,
        }
        given = {name: value for name, value in change.items() if value is not None}
        found = api.post("/v1/policy/evaluate", given)
    return Answer(found, _render(found))


def _render(found: dict[str, Any]) -> str:
    from orchestrator.policy.explain import Explanation, render_text

    return "\n".join(render_text(Explanation.model_validate(found)))


def _side(what: str) -> dict[str, Any]:
    return {"version": int(what)} if what.isdigit() else {"text": read_text(Path(what))}


def _target(text: str) -> dict[str, str]:
    kind, colon, value = text.partition(":")
    if not colon or not value:
        raise Invalid(f"--target {text}: write it as TYPE:VALUE, such as address:203.0.113.5")
    return {"type": kind, "value": value}


def _case(file: Path, result: dict[str, Any]) -> str:
    outcome = f"FAILED: {result['failure']}" if result["failure"] else "ok"
    return f"{file}:{result['line']}: {result['name']}: {outcome}"


def _warn(warnings: list[str]) -> None:
    for line in warnings:
        print_error(f"warning: {line}")
