"""`tocsin playbook sign`, `bundle`, `promote`, `roll-back`, `usage` and `sync`: from a folder to staging, and on to production."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.authoring.promotion import promote as promotion
from orchestrator.cli.api_client import Url, remote
from orchestrator.cli.options import AsJson, Config, DataDir, actor, within
from orchestrator.cli.output import listing, say, show_json
from orchestrator.crypto.signing import load_signing_key
from orchestrator.domain.errors import Invalid
from orchestrator.registry import bundle as bundles
from orchestrator.registry import signing, statement, versions
from orchestrator.registry.folder import read_folder
from orchestrator.registry.sync import Synced, sync

Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A published version.")]
Shadow = Annotated[
    bool, typer.Option("--shadow", help="As a shadow: it runs dry beside the live version.")
]


class Role(StrEnum):
    """As what somebody signs."""

    AUTHOR = "author"
    REVIEWER = "reviewer"


class Environment(StrEnum):
    """For which kind of installation a folder is meant."""

    STAGING = "staging"
    PRODUCTION = "production"


def sign(
    version: Version,
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="FILE", help="Your private key, from `tocsin signing-key new`."
        ),
    ],
    person: Annotated[str, typer.Option("--person", help="You, as your key was added.")],
    role: Annotated[Role, typer.Option("--as", help="As what you sign.")] = Role.AUTHOR,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Sign a version with its tests, as its author, or as one who has reviewed it."""
    name, number = named(version)
    private = load_signing_key(key)

    async def signed(runtime: Any) -> signing.Signed:
        said = await signing.statement(runtime, name, number, role.value, person)
        return await signing.add_signature(
            runtime, name, number, statement.sign(said, private), actor=actor()
        )

    found = within(data_dir, config, signed)
    say(f"{name} version {number} is signed by {person} as {role.value} (digest {found.digest})")
    for each in found.missing:
        say(f"still: {each}")


def bundle(
    version: Version,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Pack a version with its tests and signatures into one file, for another installation."""
    name, number = named(version)
    found = within(data_dir, config, lambda runtime: bundles.bundled(runtime, name, number))
    _write(output, found.model_dump_json(indent=1) + "\n")
    say(f"{output} holds {name} version {number} with {len(found.signatures)} signatures")


def promote(
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    shadow: Shadow = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what stands against it.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Publish a bundle here, when everything holds: same digest, tests and coverage, lint, the author's signature and a review."""
    try:
        found = bundles.read_bundle(file.read_bytes(), str(file))
    except OSError as error:
        raise Invalid(f"{file}: cannot be read ({error.strerror})") from error
    if check:
        examined = within(data_dir, config, lambda runtime: promotion.examine(runtime, found))
        for each in examined.lacking:
            say(f"- {each}")
        say(
            f"{found.name} version {found.version}: {'can be promoted' if not examined.lacking else 'cannot be promoted'}"
        )
        raise typer.Exit(1 if examined.lacking else 0)
    stage: versions.Stage = "shadow" if shadow else "live"
    view = within(
        data_dir,
        config,
        lambda runtime: promotion.promote(runtime, found, actor=actor(), stage=stage),
    )
    say(f"{view.name} version {view.version} is published here as {stage} (digest {view.digest})")


def reinstate(version: Version, data_dir: DataDir = None, config: Config = None) -> None:
    """Let a retired version be started again."""
    name, number = named(version)
    within(
        data_dir, config, lambda runtime: versions.reinstate(runtime, name, number, actor=actor())
    )
    say(f"{name} version {number} may be started again")


def roll_back(
    name: Annotated[str, typer.Argument(help="The playbook's name.")],
    to: Annotated[int, typer.Option("--to", help="The version that is to take alerts again.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Go back to an earlier version: newer ones are retired; runs that are under way keep what they started with."""
    gone = within(
        data_dir, config, lambda runtime: versions.roll_back(runtime, name, to, actor=actor())
    )
    say(
        f"{name} version {to} takes the next alert"
        + (f"; retired: {', '.join(map(str, gone))}" if gone else "")
    )


def usage(
    name: Annotated[str, typer.Argument(help="The playbook's name.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Which versions still have open runs, or hold something."""
    found = within(data_dir, config, lambda runtime: versions.used_versions(runtime, name))
    listing(
        found,
        ("version", "stage", "retired", "takes_alerts", "open_runs", "live_leases"),
        as_json=as_json,
    )


def synchronize(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Holds a folder for each playbook, and perhaps a policy.yaml."
        ),
    ],
    env: Annotated[
        Environment,
        typer.Option(
            "--env", help="Must be what the installation is: nothing goes to the wrong one."
        ),
    ],
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say what would change; exit 2 when something would."),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Retire what is not in the folder.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Bring an installation to what a folder holds. With --url through its API, else in the data directory. Exit 0 done, 1 error."""
    wanted = read_folder(folder, env.value, prune=prune)
    if url is not None:
        body = {**wanted.model_dump(mode="json"), "plan": plan}
        found = Synced.model_validate(remote(data_dir, config, url).post("/v1/sync", body))
    else:
        found = within(
            data_dir, config, lambda runtime: sync(runtime, wanted, plan_only=plan, actor=actor())
        )
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        for step in found.steps:
            say(f"{step.verb}: {step.what}" + (f" ({step.detail})" if step.detail else ""))
        say(f"{found.changes} to change, nothing was done" if plan else f"{found.changes} changed")
    raise typer.Exit(2 if plan and found.changes else 0)


def named(text: str) -> tuple[str, int]:
    """The name and version in NAME@VERSION. Raises Invalid."""
    found = re.fullmatch(r"([a-z0-9][a-z0-9_-]*)@(\d{1,9})", text)
    if found is None:
        raise Invalid(f"{text}: write it as NAME@VERSION, such as block-address@3")
    return found[1], int(found[2])


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"{path}: cannot be written ({error.strerror}); name another file") from error
