"""Hooks of the documentation site: pages for the READMEs of the connectors."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
_README = re.compile(r"\]\((?:\.\./)+connectors/(\w+)/README\.md\)")


def on_files(files, config):
    """Add a page for each connector's README."""
    for readme in sorted((ROOT / "connectors").glob("*/README.md")):
        name = f"vendors/{readme.parent.name}.md"
        files.append(File.generated(config, name, content=readme.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, **_):
    """Point links to a connector's README at its page."""
    return _README.sub(r"](vendors/\1.md)", markdown)
