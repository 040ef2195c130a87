"""How does an author begin? With a playbook and its tests from a template, good as they stand, to be changed from there."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from orchestrator.domain.errors import Conflict, Invalid

TEMPLATES = {
    "containment": "look up an address, ask where there is doubt, block it for a day, open a ticket",
    "enrichment": "look up an address and tell people; changes nothing on any device",
    "ticket": "ask people what they make of an alert, and open a ticket",
}
"""What each template does."""


def scaffold(folder: Path, name: str, template: str, title: str | None = None) -> list[Path]:
    """Writes `folder/name` with playbook.yaml and tests.yaml; the files. Raises Invalid, and Conflict where something is there already."""
    texts = begun(name, template, title)
    place = folder / name
    if place.exists():
        raise Conflict(
            f"{place}: is there already, and nothing is written over; choose another name"
        )
    try:
        place.mkdir(parents=True)
        for file, text in texts.items():
            (place / file).write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(
            f"{place}: cannot be written ({error.strerror}); name another folder"
        ) from error
    return [place / file for file in texts]


def begun(name: str, template: str, title: str | None = None) -> dict[str, str]:
    """The texts of playbook.yaml and tests.yaml. Raises Invalid."""
    if template not in TEMPLATES:
        raise Invalid(f"there is no template {template!r}; there are: {', '.join(TEMPLATES)}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        raise Invalid(f"{name!r} is no name for a playbook: use a-z, 0-9 and -, 64 at most")
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
