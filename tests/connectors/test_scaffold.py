"""A scaffolded connector of each capability passes its tests, ruff, mypy and the page check."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.capabilities import CAPABILITIES
from connectors.scaffold.new_connector import (
    capabilities,
    create_connector,
    format_files,
    parse_name,
    write_pages,
)
from orchestrator.cli.commands.author.connector import list_connectors, new
from orchestrator.domain.errors import Conflict, Invalid

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("connectors", "orchestrator/domain", "docs/connectors.md", "pyproject.toml")
COPIED_TESTS = ("tests/__init__.py", "tests/connectors/__init__.py", "tests/connectors/conftest.py")
FILES = (*COPIED, *COPIED_TESTS, "orchestrator/__init__.py", ".importlinter")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what a connector needs, with one new connector per capability."""
    root = tmp_path_factory.mktemp("checkout")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignore)
        else:
            shutil.copy2(ROOT / name, root / name)
    files = [create_connector(root, f"acme_{each}", each) for each in capabilities()]
    format_files(root, tuple({path for written in files for path in written}))
    write_pages(root)
    return root


def packages() -> list[str]:
    return [f"connectors/acme_{capability}" for capability in capabilities()]


def run(root: Path, *command: str) -> None:
    """Run a Python module in the checkout and show its output when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def scaffolded_tests(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in (root / "tests").rglob("test_acme_*.py")]


def test_every_capability_has_templates() -> None:
    assert set(capabilities()) == {capability.capability for capability in CAPABILITIES}


def test_scaffolded_connectors_pass_their_tests(checkout: Path) -> None:
    assert len(scaffolded_tests(checkout)) == len(capabilities())
    run(checkout, "pytest", "-p", "no:cacheprovider", *scaffolded_tests(checkout))


def test_scaffolded_connectors_pass_ruff(checkout: Path) -> None:
    changed = ["connectors/registry.py", "connectors/lab.py"]
    run(checkout, "ruff", "check", "--no-cache", *packages(), *scaffolded_tests(checkout), *changed)
    run(
        checkout,
        "ruff",
        "format",
        "--check",
        "--no-cache",
        *packages(),
        *scaffolded_tests(checkout),
    )


def test_scaffolded_connectors_pass_mypy(checkout: Path) -> None:
    cache = ROOT / ".mypy_cache" / "scaffold"
    run(checkout, "mypy", f"--cache-dir={cache}", *packages())


def test_scaffolded_connectors_have_current_pages(checkout: Path) -> None:
    run(checkout, "connectors.readme", "--check")
    for package in packages():
        assert (checkout / package / "README.md").is_file()


def test_scaffolded_connectors_are_registered(checkout: Path) -> None:
    registry = (checkout / "connectors/registry.py").read_text("utf-8")
    contract = (checkout / ".importlinter").read_text("utf-8")
    for capability in capabilities():
        assert f"    {parse_name(f'acme_{capability}').cls},\n" in registry
        assert f"    connectors.acme_{capability}\n" in contract


def test_command_writes_a_connector_with_its_page(checkout: Path) -> None:
    answer = new("zenith", "firewall", root=checkout)
    assert {"connectors/zenith/connector.py", "tests/connectors/test_zenith.py"} <= set(
        answer.data["files"]
    )
    assert "# Zenith" in (checkout / "connectors/zenith/README.md").read_text("utf-8")


def test_command_lists_the_connectors() -> None:
    listed = {each["name"]: each for each in list_connectors().data}
    assert listed["okta"]["capabilities"] == ["identity"]
    assert "suspend_user" in listed["okta"]["actions"]


@pytest.mark.parametrize("name", ["", "Acme", "acme-wall", "acme__wall", "_acme", "1st", "class"])
def test_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="connector name"):
        create_connector(ROOT, name, "firewall")


@pytest.mark.parametrize("name", ["okta", "sdk", "lab"])
def test_taken_name_is_refused(name: str) -> None:
    with pytest.raises(Conflict, match="exists already"):
        create_connector(ROOT, name, "firewall")


def test_taken_class_name_is_refused() -> None:
    with pytest.raises(Conflict, match="class Firewall already"):
        create_connector(ROOT, "firewall", "firewall")


def test_unknown_capability_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match="edr, firewall, identity"):
        create_connector(ROOT, "acme", "toaster")


def test_other_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not a source checkout"):
        create_connector(tmp_path, "acme", "firewall")
