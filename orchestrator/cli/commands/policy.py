"""`tocsin policy`: what may nobody do?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_text, within
from orchestrator.cli.output import console, errors, plain, say, show_json
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.policy import policies, what_if
from orchestrator.policy.document import parse_policy
from orchestrator.policy.explain import Explanation, told
from orchestrator.policy.hypothetical import Imagined
from orchestrator.policy.tests import junit_xml, policy_beside, run_cases
from orchestrator.runtime import Runtime

app = typer.Typer(
    help="Protected assets, limits, and what people must agree with.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="A policy in YAML.")]


@app.command("show")
def show(data_dir: DataDir = None, config: Config = None) -> None:
    """The policy in force, as it was published."""
    console.out(within(data_dir, config, policies.current_policy).source, highlight=False)


@app.command("check")
def check(file: File, data_dir: DataDir = None, config: Config = None) -> None:
    """Say what is wrong with a policy, by line and column, and what is most likely a mistake."""
    text = read_text(file)
    warned = within(
        data_dir, config, lambda runtime: policies.check_policy(runtime, text, str(file))
    )
    _warn(warned)
    say(f"{file}: good" + (f", with {len(warned)} to look at" if warned else ""))


@app.command("publish")
def publish(file: File, data_dir: DataDir = None, config: Config = None) -> None:
    """Put a policy in force, for every change from now on."""
    text = read_text(file)
    view = within(
        data_dir, config, lambda runtime: policies.publish_policy(runtime, text, actor=actor())
    )
    _warn(view.warnings)
    say(f"policy version {view.version} is in force (digest {view.digest})")


@app.command("test")
def try_cases(
    file: Annotated[Path, typer.Argument(help="Tests beside a policy, such as policy.tests.yaml.")],
    as_json: AsJson = False,
    junit: Annotated[bool, typer.Option("--junit", help="JUnit XML, for build servers.")] = False,
) -> None:
    """Judge the cases beside a policy, and say where it says something else than it should."""
    text = read_text(file)
    policy = file.parent / policy_beside(text, str(file))
    found = run_cases(
        text, str(file), parse_policy(read_text(policy), str(policy)), usual_catalogue()
    )
    if as_json:
        show_json([plain(result) for result in found])
    elif junit:
        console.out(junit_xml(found, str(file)), highlight=False)
    else:
        for result in found:
            say(
                f"{file}:{result.line}: {'FAILED' if result.failure else 'ok'}: {result.name}"
                + (f": {result.failure}" if result.failure else "")
            )
        say(f"{sum(not result.failure for result in found)} of {len(found)} as expected")
    if any(result.failure for result in found):
        raise typer.Exit(1)


@app.command("explain")
def explain(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A draft; else the policy in force.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Such as firewall.block_address.")] = None,
    target: Annotated[str | None, typer.Option(help="Such as address:203.0.113.5.")] = None,
    effect: Annotated[str | None, typer.Option(help="Of an action that no connector has.")] = None,
    playbook: Annotated[str, typer.Option(help="On whose behalf.")] = "",
    source: Annotated[str | None, typer.Option(help="Where the alert came from.")] = None,
    severity: Annotated[int, typer.Option(help="Of the alert, 0 to 6.")] = 0,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Such as 2026-03-07T23:30:00+01:00; else now."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Of the target, beside those of the inventory; may be repeated."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="A real run, with --step.")] = None,
    step: Annotated[
        str | None, typer.Option(metavar="PATH", help="The step of it that planned a change.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Say how a change is judged, and which rule, protection or limit says so; nothing is done."""
    draft, name = (None, "") if file is None else (read_text(file), str(file))
    if (run is None) != (step is None) or (run is None) == (action is None or target is None):
        raise Invalid("give --action and --target, or --run and --step")
    wish = {
        "effect": effect,
        "playbook": playbook,
        "source": source,
        "severity": severity,
        "at": at,
        "tags": tuple(tag or ()),
    }

    async def ask(runtime: Runtime) -> Explanation:
        if run is not None and step is not None:
            return await what_if.evaluate_step(runtime, run, step, draft, name)
        return await what_if.evaluate(
            runtime, _imagined({"action": action, "target": target, **wish}), draft, name
        )

    found = within(data_dir, config, ask)
    show_json(plain(found)) if as_json else say("\n".join(told(found)))


def _imagined(written: dict[str, Any]) -> Imagined:
    try:
        return Imagined.model_validate(written)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise Invalid(
            "\n".join(
                f"--{each['loc'][0]}: {each['msg'].removeprefix('Value error, ')}"
                for each in problems
            )
        ) from None


def _warn(lines: tuple[str, ...]) -> None:
    for line in lines:
        errors.out(f"warning: {line}", highlight=False)
