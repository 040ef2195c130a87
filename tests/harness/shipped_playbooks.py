"""The shipped playbooks in tests: plans, cases, alerts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import playbooks
from orchestrator.authoring.rehearsal.tests_yaml.model import CasesFile
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.alert import Alert, alert_view
from orchestrator.intake.parsers import parser_for
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.plan import Plan

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ROOT = Path(playbooks.__file__).parent


def plan_of(name: str) -> Plan:
    """Return the compiled playbook of that name."""
    text = playbooks.folder(name).joinpath("playbook.yaml").read_text("utf-8")
    return compile_playbook(
        text, f"{name}/playbook.yaml", usual_catalogue(), lambda _name, _version: None
    ).plan


def cases_of(name: str) -> CasesFile:
    """Return the test cases of that playbook."""
    return read_tests(
        playbooks.folder(name).joinpath("tests.yaml").read_text("utf-8"),
        f"{name}/tests.yaml",
        plan_of(name),
    )


def alerts_in(file: str, product: str) -> tuple[Alert, ...]:
    """Parse a file below playbooks/ with the parser of a product."""
    return parser_for(product)(json.loads((ROOT / file).read_text("utf-8")), NOW)


def view_of(alert: Alert, product: str) -> dict[str, Any]:
    """Return the view of an alert without any asset facts."""
    return alert_view(
        alert,
        alert_id="alert_1",
        incident_id="inc_1",
        source=product,
        product=product,
        raw_sha256="0" * 64,
    )


def asset_view(alert: Alert, product: str) -> dict[str, Any]:
    """Return the view of an alert with the asset facts of the lab's inventory."""
    view = view_of(alert, product)
    known = json.loads(
        (ROOT.parent / "orchestrator" / "first_start_data" / "lab_assets.json").read_text("utf-8")
    )
    for part, fields in (("host", ("id", "name", "address")), ("user", ("name", "email"))):
        names = {view[part][field] for field in fields} if view[part] else set()
        for asset in known:
            if not names.isdisjoint({asset["value"], *asset.get("also", ())}):
                facts = ("kind", "critical", "tags") if part == "host" else ("critical", "tags")
                view[part] |= {field: asset[field] for field in facts}
    return view
