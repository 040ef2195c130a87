"""Roles fit the work: who decides, contains, stops everything, and who starts it again."""

from __future__ import annotations

import pytest

from orchestrator.domain.access import PERMISSIONS, Permission, Role
from tests.harness.api_calls import People, is_problem

STOP = {"scope": "global", "reason": "the wrong playbook runs"}
ON_DUTY = {
    Permission.APPROVAL_DECIDE,
    Permission.RUN_START,
    Permission.RUN_CONTROL,
    Permission.CONTAINMENT_CONTROL,
    Permission.KILL_SWITCH_ENGAGE,
    Permission.AUDIT_READ,
}


def test_analyst_has_all_that_the_work_on_duty_takes_and_nothing_of_the_administrator() -> None:
    analyst = PERMISSIONS[Role.ANALYST]
    assert analyst >= ON_DUTY
    assert not analyst & {
        Permission.KILL_SWITCH_LIFT,
        Permission.BREAK_GLASS,
        Permission.POLICY_WRITE,
        Permission.PLAYBOOK_PUBLISH,
        Permission.ADMIN,
    }


def test_author_does_not_decide_and_auditor_changes_nothing() -> None:
    assert Permission.APPROVAL_DECIDE not in PERMISSIONS[Role.AUTHOR]
    assert PERMISSIONS[Role.AUDITOR] == {
        Permission.READ,
        Permission.APPROVAL_READ,
        Permission.AUDIT_READ,
    }


def test_every_permission_and_role_says_what_it_is_for() -> None:
    assert all(each.meaning for each in (*Permission, *Role))


@pytest.mark.attack(
    "lift a kill switch without being an administrator",
    before="refused, but people on duty could not engage one either",
)
@pytest.mark.parametrize("role", [Role.ANALYST, Role.APPROVER])
async def test_person_on_duty_engages_the_kill_switch_and_only_an_admin_lifts_it(
    people: People, role: Role
) -> None:
    assert (await people[role].post("/v1/kill-switches", json=STOP)).status_code == 201
    problem = is_problem(await people[role].delete("/v1/kill-switches/global/*"), 403)
    assert "kill_switch:lift" in problem["detail"]
    assert (await people[Role.ADMIN].delete("/v1/kill-switches/global/*")).status_code == 204


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUTHOR, Role.AUDITOR])
async def test_others_do_not_engage_the_kill_switch(people: People, role: Role) -> None:
    is_problem(await people[role].post("/v1/kill-switches", json=STOP), 403)
