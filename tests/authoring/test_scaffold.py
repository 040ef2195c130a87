"""Scaffolds are valid as they are, and editor schemas agree with the compiler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from orchestrator.authoring.editor import policy_schema, set_up_editor
from orchestrator.authoring.editor import tests_schema as schema_of_tests
from orchestrator.authoring.rehearsal.report import PlaybookUnderTest, run_tests
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.cli.commands.author.playbook.editor import Template
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.language.yaml import load
from orchestrator.playbook.lint.rules import lint_playbook
from orchestrator.playbook.schema.scaffold import TEMPLATES, scaffold_texts, write_scaffold

CATALOGUE = usual_catalogue()
SHIPPED = Path(__file__).parents[2] / "playbooks"


@pytest.mark.parametrize("template", TEMPLATES)
async def test_scaffold_has_no_findings_and_its_tests_pass_and_cover_it(
    template: str,
) -> None:
    texts = scaffold_texts("mine", template)
    assert (
        lint_playbook(texts["playbook.yaml"], "p.yaml", CATALOGUE, lambda _name, _version: None)
        == ()
    )
    subject = PlaybookUnderTest(
        text=texts["playbook.yaml"], file="p.yaml", tests=texts["tests.yaml"], tests_file="t.yaml"
    )
    report = await run_tests(
        subject, lambda _file: b"", CATALOGUE, lambda _name, _version: None, None
    )
    assert [case.differences for case in report.cases] == [()] * len(report.cases)
    assert report.coverage is not None
    assert report.coverage.percent >= 90


@pytest.mark.parametrize("template", TEMPLATES)
def test_scaffold_compiles_with_its_tests(template: str) -> None:
    texts = scaffold_texts("mine", template, 'Mine: a "quoted" title # here')
    plan = compile_playbook(
        texts["playbook.yaml"], "playbook.yaml", CATALOGUE, lambda _name, _version: None
    ).plan
    assert (plan.playbook, plan.title) == ("mine", 'Mine: a "quoted" title # here')
    cases = read_tests(texts["tests.yaml"], "tests.yaml", plan)
    assert len(cases.cases) >= 3


def test_the_command_offers_every_template() -> None:
    assert list(get_args(Template)) == list(TEMPLATES)


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    write_scaffold(tmp_path, "mine", "ticket")
    with pytest.raises(Conflict, match="exists and is not overwritten"):
        write_scaffold(tmp_path, "mine", "containment")


@pytest.mark.parametrize("name", ["../mine", "Mine", "", "-x", "a" * 65])
def test_invalid_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="is not a valid playbook name"):
        write_scaffold(tmp_path, name, "ticket")
    assert not list(tmp_path.iterdir())


def test_other_editor_settings_are_kept(tmp_path: Path) -> None:
    settings = tmp_path / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"editor.tabSize": 2, "yaml.schemas": {"other.json": "*.x"}}', "utf-8")
    set_up_editor(tmp_path, CATALOGUE)
    set_up_editor(tmp_path, CATALOGUE)
    found = json.loads(settings.read_text("utf-8"))
    assert found["editor.tabSize"] == 2
    assert found["yaml.schemas"]["other.json"] == "*.x"
    schemas = [tmp_path / name for name in found["yaml.schemas"] if name != "other.json"]
    assert len(schemas) == 3
    assert all(json.loads(path.read_text("utf-8"))["$schema"] for path in schemas)


def test_settings_with_comments_are_not_changed(tmp_path: Path) -> None:
    settings = tmp_path / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text("{ // mine\n}", "utf-8")
    with pytest.raises(Invalid, match="not plain JSON"):
        set_up_editor(tmp_path, CATALOGUE)
    assert settings.read_text("utf-8") == "{ // mine\n}"


@pytest.mark.parametrize(
    "file", sorted(SHIPPED.glob("*/tests.yaml")), ids=lambda file: file.parent.name
)
def test_shipped_tests_fit_the_editor_schema(file: Path) -> None:
    import jsonschema  # takes seconds, which collection need not wait for

    jsonschema.Draft202012Validator(schema_of_tests(CATALOGUE)).validate(
        load(file.read_text("utf-8")).data
    )


def test_schemas_are_valid_and_reject_a_wrong_word() -> None:
    import jsonschema

    for schema in (schema_of_tests(CATALOGUE), policy_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert not jsonschema.Draft202012Validator(schema).is_valid({"plybook": "x"})
