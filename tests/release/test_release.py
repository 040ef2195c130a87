"""Releases: a reproducible wheel, its bill of materials, licences, and a signature that holds."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.crypto.private_file import create_private
from orchestrator.crypto.signing import SigningKey

ROOT = Path(__file__).resolve().parents[2]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = _script()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("a release is built from a commit")
    folder = tmp_path_factory.mktemp("release") / "dist"
    # The wheel itself is built, twice, by .ci/run.
    release.assemble(folder, "tocsin-0.1.0-py3-none-any.whl", b"a wheel")
    return folder


def test_the_bill_of_materials_lists_what_is_locked_with_hashes_and_licences(made: Path) -> None:
    bill = json.loads((made / "sbom.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "tocsin"
    names = {release._normal(each["name"]) for each in bill["components"]}
    assert {"temporalio", "cryptography", "fastapi"} <= names <= release.locked()
    assert all(each["hashes"] for each in bill["components"])
    assert all(each.get("licenses") for each in bill["components"])
    refs = {each["bom-ref"] for each in bill["components"]} | {"root-component"}
    assert {ref for each in bill["dependencies"] for ref in each["dependsOn"]} <= refs


def test_the_provenance_names_the_wheel_the_commit_and_the_lock(made: Path) -> None:
    statement = json.loads((made / "provenance.json").read_text())
    (wheel,) = made.glob("*.whl")
    digest = release._sha256(wheel.read_bytes())
    assert statement["subject"] == [{"name": wheel.name, "digest": {"sha256": digest}}]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["commit"] == commit


@pytest.mark.attack(
    "who holds the mirror exchanges a file of a release, its sums, or adds one",
    before="a release had no sums and no signature",
)
def test_an_altered_release_is_refused_and_named(made: Path, tmp_path: Path) -> None:
    key, other = SigningKey.new(), SigningKey.new()
    create_private(tmp_path / "release.key", key.pem())
    (tmp_path / "release.pub").write_bytes(key.public.pem)
    (tmp_path / "other.pub").write_bytes(other.public.pem)
    release.sign(made, tmp_path / "release.key")
    assert release.verify(made, tmp_path / "release.pub") == []
    assert release.main(["verify", str(made), str(tmp_path / "other.pub")]) == 1
    openssl = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey"]
    openssl += [str(tmp_path / "release.pub"), "-in", str(made / "SHA256SUMS")]
    openssl += ["-sigfile", str(made / "SHA256SUMS.sig")]
    assert subprocess.run(openssl, capture_output=True, check=False).returncode == 0
    (made / "extra.whl").write_bytes(b"x")
    sbom = (made / "sbom.json").read_bytes()
    (made / "sbom.json").write_bytes(sbom + b" ")
    assert release.verify(made, tmp_path / "release.pub") == [
        "extra.whl: is not listed in SHA256SUMS",
        "sbom.json: was altered",
    ]
    sums = (made / "SHA256SUMS").read_text()
    (made / "SHA256SUMS").write_text(sums.replace(release._sha256(sbom), "0" * 64))
    (problem,) = release.verify(made, tmp_path / "release.pub")
    assert "is not the signature" in problem


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_no_dependency_has_a_licence_that_binds_what_is_built_with_it(lock: str) -> None:
    found = release.licences(release.locked(lock))
    assert len(found) > 30
    assert release.refused_licences(found) == []


def test_a_refused_and_a_missing_licence_are_named() -> None:
    found = {"a": "GPL-3.0-only", "b": "", "c": "MIT", "d": "GNU Affero General Public License v3"}
    said = release.refused_licences(found)
    assert [line.partition(":")[0] for line in said] == ["a", "b", "d"]
