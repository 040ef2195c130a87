"""How does an editor check and complete what an author writes? JSON Schemas in a folder, and the settings that point to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.authoring.rehearsal.tests_yaml.model import Cases
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.schema.editor import json_schema
from orchestrator.policy.document import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = ".tocsin"
_FILES = {"playbook": "**/playbook.yaml", "tests": "**/tests.yaml", "policy": "**/policy.yaml"}


def schema_of_tests(catalogue: Catalogue) -> dict[str, Any]:
    """Of a tests.yaml: stubs complete to the catalogue's actions."""
    schema = Cases.model_json_schema()
    names = {
        name: {"$ref": "#/$defs/Stub", "description": action.summary}
        for name, action in sorted(catalogue.actions.items())
    }
    for holder in (schema, schema["$defs"]["Case"]):
        stubs = holder["properties"]["stubs"]
        holder["properties"]["stubs"] = {**stubs, "properties": names}
    return {"$schema": DIALECT, **schema}


def schema_of_policies() -> dict[str, Any]:
    """Of a policy."""
    return {"$schema": DIALECT, **Policy.model_json_schema()}


def set_up_editor(folder: Path, catalogue: Catalogue) -> list[Path]:
    """Writes the schemas and VS Code's settings into the folder, keeping what the settings say already; the files. Raises Invalid."""
    schemas = {
        "playbook": json_schema(catalogue),
        "tests": schema_of_tests(catalogue),
        "policy": schema_of_policies(),
    }
    settings = folder / ".vscode" / "settings.json"
    merged = _merged(settings)
    written = [folder / FOLDER / f"{name}.schema.json" for name in schemas]
    try:
        for path, schema in zip(written, schemas.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", "utf-8")
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(merged, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise Invalid(
            f"{folder}: cannot be written ({error.strerror}); name another folder"
        ) from error
    return [*written, settings]


def _merged(settings: Path) -> dict[str, Any]:
    try:
        known = json.loads(settings.read_text("utf-8")) if settings.exists() else {}
    except ValueError as error:
        raise Invalid(
            f"{settings}: is not plain JSON ({error}); take the comments out, or add `yaml.schemas` by hand"
        ) from error
    if not isinstance(known, dict) or not isinstance(known.get("yaml.schemas", {}), dict):
        raise Invalid(f"{settings}: has no room for `yaml.schemas`; it must be an object")
    ours = {f"./{FOLDER}/{name}.schema.json": pattern for name, pattern in _FILES.items()}
    return {**known, "yaml.schemas": {**known.get("yaml.schemas", {}), **ours}}
