"""Scaffolding: a new playbook and its tests from a template, valid as they stand."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from orchestrator.domain.errors import Conflict, Invalid

TEMPLATES = {
    "containment": "look up an address, ask in case of doubt, block it for a day, open a ticket",
    "enrichment": "look up an address and notify people; changes nothing on any device",
    "ticket": "ask people to assess an alert, and open a ticket",
}
"""What each template does."""


def write_scaffold(folder: Path, name: str, template: str, title: str | None = None) -> list[Path]:
    """Write playbook.yaml and tests.yaml to `folder/name`, and return the files.

    Raises Invalid, and Conflict when the folder exists.
    """
    texts = scaffold_texts(name, template, title)
    place = folder / name
    if place.exists():
        raise Conflict(f"{place} exists and is not overwritten; choose another name")
    try:
        place.mkdir(parents=True)
        for file, text in texts.items():
            (place / file).write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"{place} cannot be written: {error.strerror}; use another folder") from error
    return [place / file for file in texts]


def scaffold_texts(name: str, template: str, title: str | None = None) -> dict[str, str]:
    """Return the texts of playbook.yaml and tests.yaml. Raises Invalid."""
    if template not in TEMPLATES:
        raise Invalid(f"unknown template {template!r}; use one of: {', '.join(TEMPLATES)}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        raise Invalid(f"{name!r} is not a valid playbook name; use at most 64 of a-z, 0-9 and -")
    words = " ".join((title or name.replace("-", " ").capitalize()).split())
    return {file: _filled(template, file, name, words) for file in ("playbook.yaml", "tests.yaml")}


def _filled(template: str, file: str, name: str, title: str) -> str:
    text = (
        resources.files("orchestrator.playbook.schema")
        .joinpath("templates", f"{template}.{file}")
        .read_text("utf-8")
    )
    quoted = (
        '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if re.search(r"[^\w ,.()-]", title)
        else title
    )
    return text.replace("__NAME__", name).replace("__TITLE__", quoted)
