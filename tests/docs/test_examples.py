"""Every example in the documentation is run: compiled, parsed, imported, tried."""

from __future__ import annotations

import inspect
import itertools
import json
import re
import runpy
import shlex
import sys
import textwrap
import tomllib
from datetime import UTC, datetime
from types import ModuleType

import pytest
from ruamel.yaml import YAML
from typer.core import TyperGroup
from typer.main import get_command

from api.schemas.approvals import Decide, DecideBatch
from connectors.contract import HttpConnectorContract
from connectors.sdk.connector import Connector
from orchestrator.assets.csv_import import read_csv
from orchestrator.assets.inventory import Asset
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.cli.app import app
from orchestrator.cli.docs import generated, main
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.parsers import parser_for
from orchestrator.playbook.compile.compiler import CompiledPlaybook, compile_playbook
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.lint import lint_policy
from orchestrator.policy.tests import run_cases
from orchestrator.registry.drafts import resolve_with
from orchestrator.registry.sync import FolderPlaybook
from orchestrator.settings import Settings
from tests.harness.doc_blocks import ROOT, Block, blocks, of

KNOWN = {
    *(
        "yaml playbook",
        "yaml steps",
        "yaml policy",
        "yaml policy tests",
        "yaml tests",
        "json alert",
        "json mapping",
        "json decision",
        "json batch",
        "yaml prometheus",
        "json log",
    ),
    *("toml settings", "csv assets"),
    *(
        "python connector",
        "python contract",
        *("yaml recipe", "json recipe", "xml recipe", "python recipe"),  # see test_recipes.py
        "bash install",  # whose commands tests/e2e/test_install.py runs, as far as no root is needed
        "bash keys",  # which tests/key_rotation/test_key_files.py runs
        "bash make",
        "bash release",  # of scripts/release.py, which tests/release/test_release.py runs
        "bash tocsin",
        "bash tocsin up",
        "bash curl",
        "bash curl write",
        "bash approval",
        "bash bench",
        "mermaid",
        "text",  # commands of which the next test looks whether there are such
        "yaml github",
        "yaml gitlab",
        "yaml lint",  # of the rules, which tests/playbook/test_lint.py lints
    ),
}
HEAD = (
    "playbook: x\nversion: 1\ntitle: X\nowner: soc\ntrigger:\n  when: alert.severity >= 4\nsteps:\n"
)
CATALOGUE = usual_catalogue()


PUBLISHED = resolve_with(
    [FolderPlaybook(file=str(block), text=block.text) for block in of("yaml playbook")],
    CATALOGUE,
    {},
)


def compiled(text: str, name: str) -> CompiledPlaybook:
    return compile_playbook(text, name, CATALOGUE, PUBLISHED)


def test_there_is_no_example_that_no_test_runs() -> None:
    kinds = {
        " ".join(block.kind.split()[:2])
        if block.kind.split()[1:2] in (["alert"], ["recipe"], ["batch"])
        else block.kind
        for block in blocks()
    }
    assert kinds <= KNOWN
    assert all(of(kind) for kind in KNOWN)


@pytest.mark.parametrize("block", of("yaml playbook"), ids=str)
def test_a_playbook_compiles(block: Block) -> None:
    assert compiled(block.text, str(block)).plan.steps


@pytest.mark.parametrize("block", of("yaml steps"), ids=str)
def test_steps_compile(block: Block) -> None:
    assert compiled(HEAD + textwrap.indent(block.text, "  "), str(block)).plan.steps


@pytest.mark.parametrize(
    "block", [block for block in of("yaml policy") if block.kind == "yaml policy"], ids=str
)
def test_a_policy_is_one(block: Block) -> None:
    policy = parse_policy(block.text, str(block))
    assert policy != Policy()
    assert not lint_policy(policy)


@pytest.mark.parametrize("block", of("yaml policy tests"), ids=str)
def test_the_tests_of_a_policy_pass(block: Block) -> None:
    policy = next(
        each for each in of("yaml policy") if each.page == block.page and each.kind == "yaml policy"
    )
    results = run_cases(block.text, str(block), parse_policy(policy.text), CATALOGUE)
    assert [result.failure for result in results if result.failure] == []


@pytest.mark.parametrize("block", of("yaml tests"), ids=str)
def test_cases_are_some(block: Block) -> None:
    plan = compiled(
        (ROOT / "playbooks/brute-force-block/playbook.yaml").read_text("utf-8"), "playbook.yaml"
    ).plan
    assert read_tests(block.text, str(block), plan).cases


@pytest.mark.parametrize("block", of("json alert"), ids=str)
def test_an_alert_is_parsed(block: Block) -> None:
    assert parser_for(block.kind.split()[2])(
        json.loads(block.text), datetime(2026, 11, 24, tzinfo=UTC)
    )


@pytest.mark.parametrize("block", of("csv assets"), ids=str)
def test_an_inventory_can_be_imported(block: Block) -> None:
    assert [Asset.model_validate(row) for _, row in read_csv(block.text)]


@pytest.mark.parametrize("block", of("json log"), ids=str)
def test_a_log_line_is_an_object_with_the_fields_of_every_line(block: Block) -> None:
    assert {"time", "level", "event", "service", "request_id"} <= set(json.loads(block.text))


@pytest.mark.parametrize("block", of("json mapping"), ids=str)
def test_a_mapping_is_taken_and_maps(block: Block) -> None:
    mapping = check_mapping(json.loads(block.text))
    event = {
        "id": "1",
        "name": "Guessing",
        "level": "page",
        "kind": "bruteforce",
        "machine": {"name": "ws-1"},
        "peer": {"ip": "198.51.100.7"},
    }
    (alert,) = parser_for("generic", mapping)(
        {"events": [event]}, datetime(2026, 11, 24, tzinfo=UTC)
    )
    assert (alert.alert_class, int(alert.severity), alert.remote and alert.remote.address) == (
        "brute_force",
        5,
        "198.51.100.7",
    )


@pytest.mark.parametrize("block", of("toml settings"), ids=str)
def test_settings_are_settings(block: Block) -> None:
    assert Settings.load(**tomllib.loads(block.text)).port


@pytest.mark.parametrize("block", of("python connector"), ids=str)
def test_a_connector_is_accepted_by_the_sdk(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("example_connector")
    monkeypatch.setitem(sys.modules, "example_connector", module)
    exec(compile(block.text, str(block), "exec"), vars(module))
    made = [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, Connector) and cls is not Connector
    ]
    assert [cls.name for cls in made] == ["blocklist"]
    assert set(made[0].bound) == {"block_address", "unblock_address"}


@pytest.mark.parametrize("block", of("python contract"), ids=str)
def test_a_contract_test_is_one(block: Block) -> None:
    names: dict[str, object] = {"__name__": "example_contract"}
    exec(compile(block.text, str(block), "exec"), names)
    assert [
        cls
        for cls in names.values()
        if inspect.isclass(cls)
        and issubclass(cls, HttpConnectorContract)
        and cls.__name__ == "TestPaloAlto"
    ]


@pytest.mark.parametrize("block", of("bash make"), ids=str)
def test_make_has_these_targets(block: Block) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in block.text.splitlines():
        assert line.split()[0] == "make"
        assert line.split()[1] in targets


@pytest.mark.parametrize("block", of("bash bench"), ids=str)
def test_the_benchmark_takes_these_options(
    block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, script, *options = block.text.split()
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    monkeypatch.syspath_prepend((ROOT / script).parent)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(option in printed for option in options if option.startswith("--"))


def test_the_tables_are_in_step_with_the_code() -> None:
    assert main(["--check"]) == 0


def test_a_table_that_is_not_in_step_is_found() -> None:
    page = (ROOT / "docs/authoring-playbooks.md").read_text("utf-8")
    assert generated(page.replace("| in lower case |", "| in upper case |")) == page
    with pytest.raises(ValueError, match="without"):
        generated("<!-- generated: filters -->")


@pytest.mark.parametrize(
    "page", sorted({block.page for block in blocks()} | {"docs/architecture.md"})
)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_decision_says_situation_decision_and_consequence() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("0*.md"))
    assert len({page.name[:4] for page in pages}) == len(pages)
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]}: ")
        assert all(f"**{word}.**" in text for word in ("Situation", "Decision", "Consequence"))


@pytest.mark.parametrize("block", of("json decision"), ids=str)
def test_the_body_of_a_decision_is_one(block: Block) -> None:
    Decide.model_validate_json(block.text)


@pytest.mark.parametrize("block", of("json batch decision"), ids=str)
def test_the_body_of_a_decision_on_a_batch_is_one(block: Block) -> None:
    DecideBatch.model_validate_json(block.text)


@pytest.mark.parametrize("block", of("yaml prometheus"), ids=str)
def test_the_configuration_of_prometheus_has_targets_and_the_rules_that_are_shipped(
    block: Block,
) -> None:
    found = YAML(typ="safe").load(block.text)
    for job in found["scrape_configs"]:
        [targets] = job["static_configs"]
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+", target) for target in targets["targets"])
    assert all((ROOT / "docs" / "deploy" / name).exists() for name in found["rule_files"])


@pytest.mark.parametrize("block", [*of("text"), *of("yaml github"), *of("yaml gitlab")], ids=str)
def test_the_commands_that_a_page_tells_of_are_there_with_these_options(block: Block) -> None:
    if block.kind.startswith("yaml"):
        assert isinstance(YAML(typ="safe").load(block.text), dict)
    for words in re.findall(r"tocsin ((?:[a-z-]+ ?)+)([^\n#|]*)", block.text):
        command, names = get_command(app), words[0].split()
        while names and isinstance(command, TyperGroup) and names[0] in command.commands:
            command = command.commands[names.pop(0)]
        assert not isinstance(command, TyperGroup), f"{block}: tocsin {words[0]}"
        options = {name for each in command.params for name in each.opts}
        for option in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", words[1]):
            assert option in options, f"{block}: tocsin {words[0]} has no {option}"


@pytest.mark.parametrize("block", [*of("text"), *of("yaml github"), *of("yaml gitlab")], ids=str)
def test_each_command_that_a_page_tells_of_is_whole(block: Block) -> None:
    """Parsed as it stands, and not run: nothing that is required is missing."""
    for line in re.findall(r"\btocsin ([a-z-].*)", block.text.replace("\\\n", " ")):
        words = list(
            itertools.takewhile(
                lambda word: word not in {"|", "||", "&&", "<", ">"},
                shlex.split(line, comments=True),
            )
        )
        command, name = get_command(app), "tocsin"
        while words and isinstance(command, TyperGroup) and words[0] in command.commands:
            name = words.pop(0)
            command = command.commands[name]
        command.make_context(name, words)
