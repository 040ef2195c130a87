"""The rules of the project's language, as a scan: `python -m tests.architecture.language`.

Docstrings are statements, no text uses a banned phrase, and a public class name stands once. The
scan reads Python files as tokens and syntax trees, so that messages, help texts and OpenAPI texts
count as well as docstrings and comments; it reads documents, templates and playbooks as text.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "api", "connectors", "playbooks")
CODE = (*PACKAGES, "tests", "benchmarks", "scripts")
TEXT_SUFFIXES = {".md", ".html", ".yaml", ".yml", ".toml", ".txt"}
TEXT_NAMES = {"Makefile", "Dockerfile", ".importlinter"}
THIS = {"tests/architecture/language.py", "tests/architecture/test_language.py"}

BANNED = {
    "somebody": r"\bsomebody\b",
    "nobody": r"\bnobody\b",
    "anew": r"\banew\b",
    "beside": r"\bbeside\b",
    "whoever": r"\bwhoever\b",
    "of ours": r"\bof ours\b",
    "is told": r"\b(?:is|are|was|were|be|been) told\b",
    "come off": r"\b(?:come|comes|came|coming) off\b",
    "the mend": r"\bthe mend\b",
    "as wished": r"\bas (?:it is |they are )?wished\b",
    "for ever": r"\bfor ever\b",
}
_BANNED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in BANNED.items()}
_WORDS = re.compile("|".join(BANNED.values()), re.IGNORECASE)

METAPHORS = {"came_off", "glass", "held", "made", "matter", "said", "seen", "told", "wish"}
"""Names that no public function, class or constant carries."""

_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^'\s][^']*'")
_QUESTION = re.compile(r"\?(?=\s|$)")


class Fault(NamedTuple):
    """One place that breaks a rule."""

    rule: str
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.text}"


def faults() -> list[Fault]:
    """Return every place of the project that breaks a rule, by file and line."""
    found: list[Fault] = []
    for file in _tracked():
        if file in THIS:
            continue
        path = ROOT / file
        if path.suffix == ".py" and file.startswith(CODE):
            found += _in_python(file, path.read_text(encoding="utf-8"))
        elif path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES:
            found += _in_text(file, path.read_text(encoding="utf-8"))
    return sorted([*found, *_class_names()], key=lambda each: (each.file, each.line))


def _tracked() -> list[str]:
    """Return the files that git tracks or would track, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [file for file in listed.splitlines() if (ROOT / file).is_file()]


def _in_python(file: str, source: str) -> Iterator[Fault]:
    tree = ast.parse(source)
    yield from _docstrings(file, tree)
    if file.startswith(PACKAGES):
        yield from _names(file, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _banned(file, node.lineno, node.name.replace("_", " "))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.string in _VALUES:
            continue
        if token.type in {tokenize.STRING, tokenize.COMMENT} or token.type == _FSTRING_MIDDLE:
            yield from _banned(file, token.start[0], token.string)


_VALUES = {'"nobody"'}
"""Values, not prose: the name of a Unix account."""
_FSTRING_MIDDLE = getattr(tokenize, "FSTRING_MIDDLE", -1)  # a token of its own since Python 3.12


def _docstrings(file: str, tree: ast.Module) -> Iterator[Fault]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            plain = _QUOTED.sub("", text)
            if _QUESTION.search(plain):
                line = node.body[0].lineno
                yield Fault("a docstring is a statement", file, line, text.splitlines()[0])


def _names(file: str, tree: ast.Module) -> Iterator[Fault]:
    for node in ast.walk(tree):
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and node.name.lower() in METAPHORS:
            yield Fault("a name is a term of the field", file, node.lineno, node.name)


def _in_text(file: str, text: str) -> Iterator[Fault]:
    for number, line in enumerate(text.splitlines(), start=1):
        yield from _banned(file, number, line)


def _banned(file: str, line: int, text: str) -> Iterator[Fault]:
    if not _WORDS.search(text):
        return
    for name, pattern in _BANNED.items():
        for match in pattern.finditer(text):
            at = line + text.count("\n", 0, match.start())
            start, end = max(0, match.start() - 30), match.end() + 30
            yield Fault(f"banned: {name}", file, at, " ".join(text[start:end].split()))


def _class_names() -> Iterator[Fault]:
    places: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            file = str(path.relative_to(ROOT))
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append((file, node.lineno))
    for name, found in places.items():
        for file, line in found[1:]:
            first = f"{found[0][0]}:{found[0][1]}"
            yield Fault("a class name stands once", file, line, f"{name}, also in {first}")


def main() -> int:
    """Print every fault and the count per rule; return 1 when there is any."""
    found = faults()
    for fault in found:
        print(fault)
    for rule, count in Counter(fault.rule for fault in found).most_common():
        print(f"{count:6} {rule}")
    print(f"{len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
