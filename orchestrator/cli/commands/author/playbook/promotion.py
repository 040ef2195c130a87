"""Verbs that carry versions between installations: `sign`, `bundle`, `promote` and `sync`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command
from orchestrator.cli.commands.author.playbook.versions import Shadow
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import Version, parse_version, read_json_object, write_text

_SECONDS = 180.0  # a promotion plays all tests of the version


def register(app: typer.Typer) -> None:
    """Add the verbs to `tocsin playbook`."""
    api_command(app, "sign")(sign)
    api_command(app, "bundle")(bundle)
    api_command(app, "promote")(promote)
    api_command(app, "sync")(sync)


def sign(
    api: Api,
    version: Version,
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="FILE", help="Your private key, from `tocsin signing-key new`."
        ),
    ],
    person: Annotated[str, typer.Option("--person", help="You, as your key was added.")],
    role: Annotated[
        Literal["author", "reviewer"], typer.Option("--as", help="The role that you sign in.")
    ] = "author",
) -> Answer:
    """Sign a version with its tests, as its author or its reviewer."""
    from orchestrator.crypto.signing import load_signing_key
    from orchestrator.registry import statement

    name, number = parse_version(version)
    private = load_signing_key(key)
    path = f"/v1/playbooks/{name}/{number}/signatures"
    status = api.get(path)
    signed = statement.SignedStatement(
        name=name,
        version=number,
        digest=status["digest"],
        tests=status["tests"],
        role=role,
        person=person,
    )
    status = api.post(path, statement.sign(signed, private).model_dump(mode="json"))
    missing = [f"still missing: {each}" for each in status["missing"]]
    head = f"{name} version {number} signed by {person} as {role} (digest {status['digest']})"
    return Answer(status, "\n".join([head, *missing]))


def bundle(
    api: Api,
    version: Version,
    output: Annotated[
        Path, typer.Option("--file", "-f", metavar="FILE", help="The file to write.")
    ],
) -> Answer:
    """Write a version with its tests and signatures to one file, for another installation."""
    import json

    name, number = parse_version(version)
    found = api.get(f"/v1/playbooks/{name}/{number}/bundle")
    write_text(output, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    count = len(found["signatures"])
    return Answer(found, f"{output}: {name} version {number} with {count} signatures")


def promote(
    api: Api,
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    shadow: Shadow = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only report what prevents the promotion.")
    ] = False,
) -> Answer:
    """Publish a bundle of another installation.

    Requires the same digest, passing tests, coverage, lint, the author's signature and a review.
    """
    stage = "shadow" if shadow else "live"
    body = {"bundle": read_json_object(file), "stage": stage, "check": check}
    found = api.post("/v1/promotions", body, seconds=_SECONDS)
    name = f"{found['name']} version {found['version']}"
    if not check:
        return Answer(found, f"{name} published as {stage} (digest {found['digest']})")
    objections = found["objections"]
    lines = [*(f"- {each}" for each in objections)]
    lines.append(f"{name}: {'cannot' if objections else 'can'} be promoted")
    return Answer(found, "\n".join(lines), ExitCode.NEGATIVE if objections else ExitCode.DONE)


def sync(
    api: Api,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Holds a folder per playbook, and optionally a policy.yaml."
        ),
    ],
    env: Annotated[
        Literal["staging", "production"],
        typer.Option("--env", help="Must be the environment of the installation."),
    ],
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only report what would change; exit code 2 if anything."),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Retire what the folder does not hold.")
    ] = False,
) -> Answer:
    """Bring an installation to what a folder holds: all of it or nothing."""
    from orchestrator.registry.folder import read_folder

    content = read_folder(folder, env, prune=prune).model_dump(mode="json")
    found = api.post("/v1/sync", {**content, "plan": plan}, seconds=_SECONDS)
    changes = sum(step["verb"] != "unchanged" for step in found["steps"])
    total = f"{changes} to change; nothing was changed" if plan else f"{changes} changed"
    code = ExitCode.UNREADABLE if plan and changes else ExitCode.DONE
    return Answer(found, "\n".join([*map(_step, found["steps"]), total]), code)


def _step(step: dict[str, Any]) -> str:
    return f"{step['verb']}: {step['what']}" + (f" ({step['detail']})" if step["detail"] else "")
