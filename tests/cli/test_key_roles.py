"""`tocsin key roles` prints what each role may do."""

from __future__ import annotations

import json

import pytest

from orchestrator.cli.commands.administer.key import KeyRole
from orchestrator.domain.access import PERMISSIONS, Role
from tests.harness.commands import tocsin


def test_every_role_is_listed_with_its_permissions_and_can_be_given_to_a_key() -> None:
    found = {each["role"]: each for each in json.loads(tocsin("key", "roles", "--json").stdout)}
    assert {name: set(each["permissions"]) for name, each in found.items()} == {
        role.value: {each.value for each in PERMISSIONS[role]} for role in Role
    }
    assert {role.value for role in KeyRole} == set(found)


@pytest.mark.parametrize("role", list(Role))
def test_the_table_has_a_column_for_the_role(role: Role) -> None:
    assert role.value in tocsin("key", "roles").stdout.partition("\n")[0]
