"""Installation from a wheel, and the files of docs/deploy that an operator copies."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from api.metrics import Metrics
from orchestrator.engine.temporal import metrics as worker_metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
OURS = {"orchestrator", "connectors", "api", "playbooks"}
UNITS = sorted(DEPLOY.glob("*.service"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".*", "build", "tests", "docs", "*.egg-info", "__pycache__"),
    )
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index"]
    build += ["--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [made] = folder.glob("tocsin-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder into which the wheel is installed, apart from this repository."""
    target = wheel.parent / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return subprocess.run(
        [str(installed / "bin" / "tocsin"), *arguments],
        cwd=installed.parent,
        env={**clean, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_holds_only_the_projects_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == OURS


def test_installed_command_runs_shipped_playbooks_and_prepares_a_database(installed: Path) -> None:
    version = run(installed, "--version")
    assert (version.returncode, version.stdout.split()[-1]) == (0, "0.1.0")
    made = run(installed, "playbook", "new", "mine", "--from", "enrichment", "--dir", "drafts")
    assert made.returncode == 0, made.stderr
    checked = run(installed, "playbook", "check", "drafts/mine")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    prepared = run(installed, "migrate", "--data-dir", "data")
    assert prepared.returncode == 0, prepared.stderr
    assert (installed.parent / "data" / "admin.key").exists()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_is_valid_for_systemd(unit: Path, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / unit.name
    text = unit.read_text("utf-8")
    assert "/opt/tocsin/bin/tocsin" in text
    copy.write_text(text.replace("/opt/tocsin/bin/tocsin", sys.executable), "utf-8")
    done = subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True, check=False)
    about_unit = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, about_unit) == (0, []), done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_starts_a_command_that_exists_without_privileges(unit: Path, installed: Path) -> None:
    text = unit.read_text("utf-8")
    [command] = re.findall(r"^ExecStart=/opt/tocsin/bin/tocsin (\w+)$", text, re.MULTILINE)
    assert run(installed, command, "--help").returncode == 0
    for line in ("User=tocsin", "NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077"):
        assert line in text.splitlines()
    assert "CapabilityBoundingSet=" in text.splitlines()


def test_caddyfile_is_valid(tmp_path: Path) -> None:
    tool = shutil.which("caddy")
    if tool is None:
        pytest.skip("caddy is not installed")
    check = [tool, "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    subprocess.run(check, check=True, capture_output=True, env={"HOME": str(tmp_path)})


def test_nginx_configuration_is_valid(tmp_path: Path) -> None:
    tool = shutil.which("nginx")
    if tool is None:
        pytest.skip("nginx is not installed")
    from tests.harness.certificates import certificate_for

    files = certificate_for("tocsin.corp.example", tmp_path)
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    text = text.replace("/etc/ssl/tocsin/fullchain.pem", str(files.certificate))
    text = text.replace("/etc/ssl/tocsin/privkey.pem", str(files.key))
    (tmp_path / "site.conf").write_text(text, "utf-8")
    whole = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ include {tmp_path}/site.conf; }}"
    (tmp_path / "nginx.conf").write_text(whole, "utf-8")
    done = subprocess.run(
        [tool, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def unknown_metrics(expression: str) -> set[str]:
    """Return the names in an expression that neither the API nor a worker has."""
    described = Metrics().describe()
    of_worker = set(re.findall(r'"(tocsin_[a-z_]+)"', inspect.getsource(worker_metrics)))
    return {
        name
        for name in re.findall(r"\btocsin_[a-z_]+", expression)
        if f"# HELP {name} " not in described
        and f"# HELP {re.sub('_(bucket|count|sum)$', '', name)} " not in described
        and not {name, re.sub("_(bucket|count|sum)$", "", name)} & of_worker
    }


def test_alert_rules_name_metrics_that_exist() -> None:
    rules = DEPLOY / "alerts.yml"
    document = YAML(typ="safe").load(rules.read_text("utf-8"))
    for group in document["groups"]:
        for rule in group["rules"]:
            assert {"alert", "expr", "for", "labels", "annotations"} == set(rule)
            assert {"summary", "description"} == set(rule["annotations"])
            assert unknown_metrics(rule["expr"]) == set()
    if (tool := shutil.which("promtool")) is not None:
        subprocess.run([tool, "check", "rules", str(rules)], check=True, capture_output=True)


def test_dashboard_shows_metrics_that_exist_on_panels_that_do_not_overlap(tmp_path: Path) -> None:
    board = json.loads((DEPLOY / "dashboard.json").read_text("utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert {name for each in expressions for name in unknown_metrics(each)} == set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    if (tool := shutil.which("promtool")) is not None:
        records = [
            {"record": f"panel_{number}", "expr": each.replace("$__rate_interval", "5m")}
            for number, each in enumerate(expressions)
        ]
        rules = tmp_path / "panels.yml"
        rules.write_text(json.dumps({"groups": [{"name": "panels", "rules": records}]}), "utf-8")
        subprocess.run([tool, "check", "rules", str(rules)], check=True, capture_output=True)
