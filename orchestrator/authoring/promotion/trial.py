"""Does a version stand its own tests, cover enough of itself and please the lint rules, here and now?"""

from __future__ import annotations

from orchestrator.authoring.rehearsal.api_runner import tried_here
from orchestrator.authoring.rehearsal.report import Subject
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.lint.rules import lint_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.registry import playbooks
from orchestrator.registry.bundle import Bundle
from orchestrator.runtime import Runtime


class Trial(Frozen):
    """`failed`: cases that did not go as expected, a sentence each; `coverage` in percent; `findings`: of the lint rules, as lines."""

    cases: int
    failed: tuple[str, ...]
    coverage: float
    findings: tuple[str, ...]

    def lacking(self, minimum: float) -> list[str]:
        """What stands against it, as sentences."""
        found = [f"lint: {each}" for each in self.findings]
        if not self.cases:
            return [*found, "it has no tests; put a tests.yaml beside it"]
        found += [f"test: {each}" for each in self.failed]
        if self.coverage < minimum:
            found.append(
                f"its tests cover {self.coverage:.1f}% of it, and {minimum:g}% are wanted here (`minimum_coverage`)"
            )
        return found


async def tried(rt: Runtime, bundle: Bundle) -> Trial:
    """Runs the bundle's own tests with its own files by the real engine, and the lint rules over it. Raises PlaybookInvalid."""
    file = f"{bundle.name}.yaml"
    catalogue, known = await load_catalogue(rt), await playbooks.published_plans(rt)

    def resolve(name: str, version: int) -> Plan | None:
        return known.get((name, version))

    findings = tuple(str(each) for each in lint_playbook(bundle.source, file, catalogue, resolve))
    if bundle.tests is None:
        return Trial(cases=0, failed=(), coverage=0.0, findings=findings)
    tested = Subject(
        text=bundle.source, file=file, tests=bundle.tests, tests_file=f"{bundle.name}.tests.yaml"
    )
    try:
        report = await tried_here(tested, bundle.files, catalogue, resolve)
    except Invalid as error:
        return Trial(
            cases=1, failed=tuple(str(error).splitlines()), coverage=0.0, findings=findings
        )
    failed = tuple(
        f"{case.name}: {'; '.join(each.said for each in case.differences)}"
        for case in report.cases
        if not case.passed
    )
    percent = report.coverage.percent if report.coverage is not None else 0.0
    return Trial(cases=len(report.cases), failed=failed, coverage=percent, findings=findings)
