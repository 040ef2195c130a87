"""Contexts: the URL and key of each installation, in the user's configuration directory."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from orchestrator.domain.errors import Invalid, NotFound

FILE = "contexts.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class SavedContext:
    """The address of an installation, and the key to use there."""

    url: str
    key: str = field(repr=False)
    ca: Path | None = None
    """The authorities to trust there instead of those of the system."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """All saved contexts, and the one that is used where no other is named."""

    saved: dict[str, SavedContext] = field(default_factory=dict)
    current: str | None = None

    def get(self, name: str) -> SavedContext:
        """Return the context of this name. Raise NotFound."""
        if name not in self.saved:
            known = ", ".join(self.saved) or "none"
            raise NotFound(f"no context {name!r}; saved contexts: {known}. Add one: `tocsin login`")
        return self.saved[name]

    def with_context(self, name: str, context: SavedContext) -> Contexts:
        """Return the contexts with this one, as the current one. Raise Invalid for a bad name."""
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"--name {name!r}: use letters, digits, - and _, such as --name production"
            )
        return Contexts({**self.saved, name: context}, name)

    def with_current(self, name: str) -> Contexts:
        """Return the contexts with this one as the current one. Raise NotFound."""
        self.get(name)
        return replace(self, current=name)

    def without(self, name: str) -> Contexts:
        """Return the contexts without this one. Raise NotFound."""
        self.get(name)
        left = {each: context for each, context in self.saved.items() if each != name}
        return Contexts(left, None if self.current == name else self.current)


def contexts_file() -> Path:
    """Return where contexts are kept, such as ~/.config/tocsin/contexts.toml."""
    return user_config_path("tocsin", appauthor=False) / FILE


def load_contexts() -> Contexts:
    """Read the contexts. Raise Invalid for a file that others can read, or that is damaged."""
    path = contexts_file()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError) as error:
        raise Invalid(f"{path}: cannot be read ({error}); fix or delete the file") from error
    if mode & 0o077:
        raise Invalid(f"{path}: other users can read its API keys; run `chmod 600 {path}`")
    return _parse(data, path)


def save_contexts(contexts: Contexts) -> None:
    """Replace the file as a whole: mode 600, in a directory of mode 700. Raise Invalid."""
    path = contexts_file()
    fresh = path.with_name(f".{FILE}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(_render(contexts))
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise Invalid(f"{path}: cannot be written ({error.strerror})") from error


def _parse(data: dict[str, Any], path: Path) -> Contexts:
    try:
        saved = {
            str(name): SavedContext(
                str(each["url"]), str(each["key"]), Path(each["ca"]) if "ca" in each else None
            )
            for name, each in data.get("contexts", {}).items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise Invalid(
            f"{path}: each [contexts.NAME] needs `url` and `key`; fix or delete the file"
        ) from error
    current = data.get("current")
    return Contexts(saved, current if current in saved else None)


def _render(contexts: Contexts) -> str:
    """Return the contexts as TOML. A JSON string is a valid basic string of TOML."""
    lines = [f"current = {json.dumps(contexts.current)}"] if contexts.current else []
    for name, context in contexts.saved.items():
        lines += ["", f"[contexts.{name}]", f"url = {json.dumps(context.url)}"]
        lines += [f"key = {json.dumps(context.key)}"]
        lines += [f"ca = {json.dumps(str(context.ca))}"] if context.ca else []
    return "\n".join(lines).lstrip() + "\n"
