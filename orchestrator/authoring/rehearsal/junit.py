"""How do rehearsals look to a CI server? As JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from orchestrator.authoring.rehearsal.report import CaseReport, Report


def junit(reports: Sequence[Report]) -> str:
    """One suite per playbook; times are the rehearsal's own."""
    root = ET.Element(
        "testsuites",
        name="tocsin",
        tests=_count(reports),
        failures=str(sum(each.failed for each in reports)),
    )
    for report in reports:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=report.playbook,
            tests=str(len(report.cases)),
            failures=str(report.failed),
        )
        for case in report.cases:
            _case(suite, report, case)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _count(reports: Sequence[Report]) -> str:
    return str(sum(len(each.cases) for each in reports))


def _case(suite: ET.Element, report: Report, case: CaseReport) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=report.playbook,
        name=_clean(case.name),
        time=str(case.seconds),
        file=case.at,
    )
    if not case.passed:
        failure = ET.SubElement(
            element, "failure", message=_clean("; ".join(each.said for each in case.differences))
        )
        failure.text = _clean("\n".join(f"{each.at}: {each.said}" for each in case.differences))


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(mail if mail in "\n\t" or mail.isprintable() else "\ufffd" for mail in text)
