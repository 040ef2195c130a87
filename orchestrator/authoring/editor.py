"""Editor support: JSON Schemas, the settings that point to them, and scaffolds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict

from orchestrator.authoring.rehearsal.tests_yaml.model import CasesFile
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.schema.editor import json_schema
from orchestrator.playbook.schema.scaffold import scaffold_texts
from orchestrator.policy.document import Policy
from orchestrator.runtime import Runtime

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = ".tocsin"
_FILES = {"playbook": "**/playbook.yaml", "tests": "**/tests.yaml", "policy": "**/policy.yaml"}


class ScaffoldFiles(Frozen):
    """The files of a new playbook's folder; they are valid, and its tests pass."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "files": {
                    "playbook.yaml": "playbook: block-address\n...",
                    "tests.yaml": "playbook: block-address\n...",
                }
            }
        }
    )

    files: dict[str, str]


def scaffold(name: str, template: str, title: str | None) -> ScaffoldFiles:
    """Return the files of a new playbook from a template."""
    return ScaffoldFiles(files=scaffold_texts(name, template, title))


async def load_schema(rt: Runtime, of: Literal["playbook", "tests", "policy"]) -> dict[str, Any]:
    """Return the schema of a kind of file, with the connections of this environment."""
    if of == "policy":
        return policy_schema()
    catalogue = await load_catalogue(rt)
    return json_schema(catalogue) if of == "playbook" else tests_schema(catalogue)


def tests_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return the schema of a tests.yaml, in which stubs complete to the catalogue's actions."""
    schema = CasesFile.model_json_schema()
    names = {
        name: {"$ref": "#/$defs/Stub", "description": action.summary}
        for name, action in sorted(catalogue.actions.items())
    }
    for holder in (schema, schema["$defs"]["Case"]):
        stubs = holder["properties"]["stubs"]
        holder["properties"]["stubs"] = {**stubs, "properties": names}
    return {"$schema": DIALECT, **schema}


def policy_schema() -> dict[str, Any]:
    """Return the schema of a policy."""
    return {"$schema": DIALECT, **Policy.model_json_schema()}


def set_up_editor(folder: Path, catalogue: Catalogue) -> list[Path]:
    """Write the schemas and VS Code's settings into a folder, and return the files.

    Other settings are kept. Raises Invalid.
    """
    schemas = {
        "playbook": json_schema(catalogue),
        "tests": tests_schema(catalogue),
        "policy": policy_schema(),
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
            f"{folder}: cannot write the schemas ({error.strerror}); name another folder"
        ) from error
    return [*written, settings]


def _merged(settings: Path) -> dict[str, Any]:
    try:
        known = json.loads(settings.read_text("utf-8")) if settings.exists() else {}
    except ValueError as error:
        raise Invalid(
            f"{settings}: not plain JSON ({error}); remove its comments, "
            "or add `yaml.schemas` yourself"
        ) from error
    if not isinstance(known, dict) or not isinstance(known.get("yaml.schemas", {}), dict):
        raise Invalid(f"{settings}: `yaml.schemas` must be an object")
    ours = {f"./{FOLDER}/{name}.schema.json": pattern for name, pattern in _FILES.items()}
    return {**known, "yaml.schemas": {**known.get("yaml.schemas", {}), **ours}}
