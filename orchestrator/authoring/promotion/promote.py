"""May a bundle be published here? Compiled against this environment, tried again, signed and reviewed; then it is, with its evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from orchestrator.authoring.promotion.trial import Trial, tried
from orchestrator.domain.errors import Conflict
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.registry.bundle import Bundle
from orchestrator.registry.evidence import missing
from orchestrator.registry.playbooks import (
    Beside,
    PlaybookView,
    Vouched,
    check_playbook,
    publish_playbook,
)
from orchestrator.registry.signing_keys import believed
from orchestrator.registry.statement import Signature
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow, SignatureRow


class Examination(Frozen):
    """What stands against a promotion, a sentence each; empty: nothing. `trial`: what its tests and the lint rules say here."""

    name: str
    version: int
    digest: str
    lacking: tuple[str, ...]
    trial: Trial | None


async def examine(rt: Runtime, bundle: Bundle) -> Examination:
    """Looks at a bundle as this environment sees it, and publishes nothing. Everything that lacks is named at once."""
    lacking: list[str] = []
    trial: Trial | None = None
    try:
        compiled = await check_playbook(rt, bundle.source, f"{bundle.name}.yaml")
    except PlaybookInvalid as error:
        lacking += [
            f"it does not compile with the connections here: {line}"
            for line in str(error).splitlines()
        ]
    else:
        lacking += _differences(bundle, compiled.plan)
        trial = await tried(rt, bundle)
        lacking += trial.lacking(rt.settings.minimum_coverage)
    async with rt.store.read() as session:
        lacking += missing(
            bundle.statement, bundle.signatures, await believed(session, rt.settings)
        )
        known = await records.one(session, PlaybookRow, (bundle.name, bundle.version))
    if known is not None and known.digest != bundle.digest:
        lacking.append(
            f"version {bundle.version} is published here with other content; raise `version`"
        )
    return Examination(
        name=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        lacking=tuple(lacking),
        trial=trial,
    )


async def promote(
    rt: Runtime, bundle: Bundle, *, actor: str, stage: Literal["live", "shadow"] = "live"
) -> PlaybookView:
    """Publishes a bundle against which nothing stands. Raises Conflict with all that does."""
    found = await examine(rt, bundle)
    if found.lacking:
        raise Conflict(
            f"{bundle.name} version {bundle.version} is not promoted:\n"
            + "\n".join(f"- {each}" for each in found.lacking)
        )
    author = next(each.person for each in bundle.signatures if each.role == "author")
    report = found.trial.model_dump(mode="json") if found.trial else None
    told = {
        "version": bundle.version,
        "digest": bundle.digest,
        "from": bundle.came_from,
        "to": rt.settings.environment,
        "stage": stage,
        "signatures": [each.model_dump(mode="json") for each in bundle.signatures],
        "trial": report,
    }
    now = rt.clock()
    vouched = Vouched(
        bundle.digest, [_row(bundle, each, now) for each in bundle.signatures], report, told, actor
    )
    beside = Beside(tests=bundle.tests, files=bundle.files)
    file = f"{bundle.name}.yaml"
    return await publish_playbook(
        rt,
        bundle.source,
        file,
        actor=f"person:{author}",
        beside=beside,
        stage=stage,
        vouched=vouched,
    )


def _differences(bundle: Bundle, plan: Plan) -> list[str]:
    """The digest has to stay the same: what was signed is what will run."""
    if (plan.playbook, plan.version) != (bundle.name, bundle.version):
        return [
            f"its text is of {plan.playbook} version {plan.version}, not of {bundle.name} version {bundle.version}"
        ]
    if plan.digest == bundle.digest:
        return []
    why = "a connection here is of another kind than where it was made, or a playbook that it calls is another"
    return [
        f"compiled here it has the digest {plan.digest}, and {bundle.digest} was signed: {why}; compare the connections of both"
    ]


def _row(bundle: Bundle, given: Signature, now: datetime) -> SignatureRow:
    return SignatureRow(
        name=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        at=now,
        **given.model_dump(mode="json"),
    )
