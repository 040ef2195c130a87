"""Promotion: a bundle is compiled, tested, linted, its signatures checked, and published."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from orchestrator.authoring.rehearsal.draft_tests import run_tests_in_sandbox
from orchestrator.authoring.rehearsal.report import PlaybookUnderTest
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.registry.analysis import compile_draft, lint_draft
from orchestrator.registry.bundle import Bundle
from orchestrator.registry.publish import (
    PlaybookFiles,
    PromotionEvidence,
    publish_playbook,
)
from orchestrator.registry.statement import Signature
from orchestrator.registry.trust import missing_signatures, trusted_keys
from orchestrator.registry.views import PlaybookView
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow, SignatureRow


class Trial(Frozen):
    """The results of a bundle's own tests and of the lint rules in this environment."""

    cases: int
    failed: tuple[str, ...]
    """Cases that did not go as expected, a sentence each."""
    coverage: float
    """In percent."""
    findings: tuple[str, ...]
    """Of the lint rules."""

    def objections(self, minimum: float) -> list[str]:
        """Return what is wrong, as sentences; `minimum` is the required coverage in percent."""
        found = [f"lint: {each}" for each in self.findings]
        if not self.cases:
            return [*found, "it has no tests; add a tests.yaml next to the playbook"]
        found += [f"test: {each}" for each in self.failed]
        if self.coverage < minimum:
            found.append(
                f"its tests cover {self.coverage:.1f}% of it, but this environment requires "
                f"{minimum:g}% (`minimum_coverage`)"
            )
        return found


class PromotionCheck(Frozen):
    """Whether a bundle can be promoted to this environment."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "c2-beacon-containment",
                "version": 3,
                "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
                "objections": [],
                "trial": {"cases": 10, "failed": [], "coverage": 96.4, "findings": []},
            }
        }
    )

    name: str
    version: int
    digest: str
    objections: tuple[str, ...]
    """Why it cannot be promoted, a sentence each; empty when it can."""
    trial: Trial | None
    """Null when the bundle does not compile here."""


async def check_promotion(rt: Runtime, bundle: Bundle) -> PromotionCheck:
    """Check a bundle against this environment, and publish nothing. All objections are named."""
    objections: list[str] = []
    trial: Trial | None = None
    try:
        compiled = await compile_draft(rt, bundle.source, f"{bundle.name}.yaml")
    except PlaybookInvalid as error:
        objections += [
            f"it does not compile with the connections here: {line}"
            for line in str(error).splitlines()
        ]
    else:
        objections += _digest_objections(bundle, compiled.plan)
        trial = await run_trial(rt, bundle)
        objections += trial.objections(rt.settings.minimum_coverage)
    async with rt.store.read() as session:
        objections += missing_signatures(
            bundle.statement, bundle.signatures, await trusted_keys(session, rt.settings)
        )
        known = await records.get(session, PlaybookRow, (bundle.name, bundle.version))
    if known is not None and known.digest != bundle.digest:
        objections.append(
            f"version {bundle.version} is published here with other content; raise `version`"
        )
    return PromotionCheck(
        name=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        objections=tuple(objections),
        trial=trial,
    )


async def promote(
    rt: Runtime, bundle: Bundle, *, actor: str, stage: Literal["live", "shadow"] = "live"
) -> PlaybookView:
    """Publish a bundle. Raises Conflict with all objections against it."""
    found = await check_promotion(rt, bundle)
    if found.objections:
        raise Conflict(
            f"{bundle.name} version {bundle.version} is not promoted:\n"
            + "\n".join(f"- {each}" for each in found.objections)
        )
    author = next(each.person for each in bundle.signatures if each.role == "author")
    report = found.trial.model_dump(mode="json") if found.trial else None
    details = {
        "version": bundle.version,
        "digest": bundle.digest,
        "from": bundle.origin,
        "to": rt.settings.environment,
        "stage": stage,
        "signatures": [each.model_dump(mode="json") for each in bundle.signatures],
        "trial": report,
    }
    now = rt.clock()
    rows = [_signature_row(bundle, each, now) for each in bundle.signatures]
    return await publish_playbook(
        rt,
        bundle.source,
        f"{bundle.name}.yaml",
        actor=f"person:{author}",
        files=PlaybookFiles(tests=bundle.tests, files=bundle.files),
        stage=stage,
        evidence=PromotionEvidence(bundle.digest, rows, report, details, actor),
    )


async def run_trial(rt: Runtime, bundle: Bundle) -> Trial:
    """Run a bundle's own tests by the real engine, and lint it. Raises PlaybookInvalid."""
    file = f"{bundle.name}.yaml"
    findings = tuple(str(each) for each in await lint_draft(rt, bundle.source, file))
    if bundle.tests is None:
        return Trial(cases=0, failed=(), coverage=0.0, findings=findings)
    tested = PlaybookUnderTest(
        text=bundle.source, file=file, tests=bundle.tests, tests_file=f"{bundle.name}.tests.yaml"
    )
    try:
        report = await run_tests_in_sandbox(rt, tested, bundle.files)
    except Invalid as error:
        return Trial(
            cases=1, failed=tuple(str(error).splitlines()), coverage=0.0, findings=findings
        )
    failed = tuple(
        f"{case.name}: {'; '.join(each.message for each in case.differences)}"
        for case in report.cases
        if not case.passed
    )
    percent = report.coverage.percent if report.coverage is not None else 0.0
    return Trial(cases=len(report.cases), failed=failed, coverage=percent, findings=findings)


def _digest_objections(bundle: Bundle, plan: Plan) -> list[str]:
    """Return how the plan differs from what was signed: what was signed is what will run."""
    if (plan.playbook, plan.version) != (bundle.name, bundle.version):
        return [
            (
                f"its text is {plan.playbook} version {plan.version}, "
                f"not {bundle.name} version {bundle.version}"
            )
        ]
    if plan.digest == bundle.digest:
        return []
    return [
        (
            f"compiled here it has the digest {plan.digest}, but {bundle.digest} was signed: "
            "a connection or a called playbook differs from where it was made; "
            "compare the connections of both"
        )
    ]


def _signature_row(bundle: Bundle, given: Signature, now: datetime) -> SignatureRow:
    return SignatureRow(
        name=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        at=now,
        **given.model_dump(mode="json"),
    )
