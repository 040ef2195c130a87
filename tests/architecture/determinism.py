"""Determinism of workflows, by their code: what they reach, and what that may use.

Temporal replays a workflow by running it again, which must decide the same. The worker runs
workflows without a sandbox; this check over everything that they import stands in its place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("orchestrator/engine/decide", "orchestrator/engine/temporal/workflows")
FILES = ("orchestrator/authoring/debug/workflow.py",)
OWN = ("orchestrator", "connectors", "api", "playbooks")

ANY = frozenset({"*"})
ALLOWED: dict[str, frozenset[str]] = {
    # Pure, or typing only.
    **dict.fromkeys(
        (
            "__future__", "abc", "collections", "collections.abc", "contextlib", "dataclasses", "decimal",
            "difflib", "enum", "functools", "hashlib", "ipaddress", "itertools", "json", "math", "operator",
            "re", "string", "types", "typing", "unicodedata", "urllib.parse",
            "annotated_types", "jinja2", "jinja2.nodes", "jinja2.parser", "markupsafe", "pydantic",
            "pydantic_core", "re2", "rfc8785", "ruamel.yaml", "ruamel.yaml.error", "ruamel.yaml.events",
        ),
        ANY,
    ),
    # Without clocks: see `_CLOCKS`.
    "datetime": frozenset({"UTC", "date", "datetime", "time", "timedelta", "timezone"}),
    # What runs on the workflow's own event loop, in an order that does not vary; see also `_LOOP`.
    "asyncio": frozenset(
        {
            "CancelledError", "Future", "Lock", "Semaphore", "Task", "Timeout", "TimeoutError",
            "create_task", "current_task", "ensure_future", "gather", "get_running_loop", "shield",
            "sleep", "timeout", "wait_for",
        }
    ),
    "temporalio": frozenset({"workflow"}),
    "temporalio.workflow": ANY,
    "temporalio.common": frozenset({"RetryPolicy"}),
    "temporalio.exceptions": ANY,
}  # fmt: skip
"""Modules that workflows may import, and what of them they may use."""

_CLOCKS = frozenset({"now", "today", "utcnow", "fromtimestamp", "utcfromtimestamp"})
"""Attributes of `datetime` and `date` that ask the clock, or the time zone of the machine."""
_LOOP = frozenset(
    {
        "add_reader", "add_writer", "call_soon_threadsafe", "create_connection", "create_server",
        "create_unix_connection", "getaddrinfo", "run_in_executor", "sock_connect", "subprocess_exec",
        "subprocess_shell",
    }
)  # fmt: skip
"""Methods of an event loop that leave the workflow."""
_BUILTINS = frozenset(
    {
        "__import__", "breakpoint", "compile", "eval", "exec", "exit", "globals", "hash", "id", "input",
        "memoryview", "open", "print", "quit",
    }
)  # fmt: skip
EXEMPT = {"orchestrator.domain.digest": frozenset({"new_id"})}
"""Functions that are not pure, in modules that workflows import: no workflow may name them."""


@dataclass(frozen=True, order=True)
class Fault:
    """Something in a module that a workflow reaches, and must not use."""

    module: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.what}"


def roots(root: Path = ROOT) -> list[str]:
    """Return the modules that hold workflows, and those that decide for them."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    files = [root / name for name in FILES if (root / name).exists()]
    return [_name(root, path) for path in (*found, *files)]


def reached(root: Path = ROOT) -> dict[str, ast.Module]:
    """Return every module of this project that workflows import, directly or not."""
    found: dict[str, ast.Module] = {}
    waiting = roots(root)
    while waiting:
        module = waiting.pop()
        path = _path(root, module)
        if module in found or path is None:
            continue
        found[module] = ast.parse(path.read_text("utf-8"), str(path))
        for imported, name, _ in _imports(
            module, found[module], is_package=path.stem == "__init__"
        ):
            if imported.split(".")[0] in OWN:
                waiting += _with_packages(imported)
                waiting += [f"{imported}.{name}"] if name else []
    return found


def faults(root: Path = ROOT) -> list[Fault]:
    """Return what a replay could decide differently, or what has an effect."""
    return sorted(
        fault
        for module, tree in reached(root).items()
        for fault in (*_bad_imports(root, module, tree), *_bad_uses(module, tree))
    )


def _bad_imports(root: Path, module: str, tree: ast.Module) -> Iterator[Fault]:
    path = _path(root, module)
    is_package = path is not None and path.stem == "__init__"
    only_here = EXEMPT.get(module, frozenset())
    used = {
        node.value.id
        for function in _functions(tree, but=only_here)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    for imported, name, line in _imports(module, tree, is_package=is_package):
        if imported.split(".")[0] in OWN:
            if name in EXEMPT.get(imported, ()):
                yield Fault(module, line, f"imports {imported}.{name}, which is not pure")
            continue
        allowed = ALLOWED.get(imported)
        if allowed is None:
            if only_here and name is None and imported not in used:
                continue  # only the exempt function uses it
            yield Fault(module, line, f"imports {imported}")
        elif name is not None and allowed is not ANY and name not in allowed:
            yield Fault(module, line, f"imports {imported}.{name}")


def _bad_uses(module: str, tree: ast.Module) -> Iterator[Fault]:
    only_here = EXEMPT.get(module, frozenset())
    modules = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for top in _functions(tree, but=only_here):
        for node in ast.walk(top):
            match node:
                case ast.Name(id=name) if name in only_here:
                    yield Fault(module, node.lineno, f"uses {name}, which is not pure")
                case ast.Attribute():
                    if problem := _bad_attribute(node, modules):
                        yield Fault(module, node.lineno, problem)
                case _:
                    if problem := _bad_node(node):
                        line = getattr(node, "lineno", getattr(top, "lineno", 0))
                        yield Fault(module, line, problem)


def _bad_node(node: ast.AST) -> str | None:
    match node:
        case ast.Global():
            return "keeps state in its module"
        case ast.Name(id=name, ctx=ast.Load()) if name in _BUILTINS:
            return f"uses {name}"
        case ast.For(iter=over) | ast.comprehension(iter=over) if _is_set(over):
            return "iterates over a set, whose order varies"
        case _:
            return None


def _bad_attribute(node: ast.Attribute, modules: dict[str, str]) -> str | None:
    match node:
        case ast.Attribute(attr=attribute) if attribute in _LOOP:
            return f"leaves the workflow: {attribute}"
        case ast.Attribute(value=ast.Attribute(attr="unsafe"), attr=attribute):
            return f"uses unsafe.{attribute}"
        case (
            ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=attribute)
            | ast.Attribute(value=ast.Attribute(attr="datetime" | "date"), attr=attribute)
        ):
            return f"asks the clock: {attribute}" if attribute in _CLOCKS else None
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in modules:
            allowed = ALLOWED.get(modules[name], ANY)
            known = allowed is ANY or attribute in allowed
            return None if known else f"uses {modules[name]}.{attribute}"
        case _:
            return None


def _is_set(node: ast.expr) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case _:
            return False


def _functions(tree: ast.Module, *, but: frozenset[str]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, without the functions of these names."""
    for node in tree.body:
        if not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in but):
            yield node


def _imports(
    module: str, tree: ast.Module, *, is_package: bool
) -> Iterator[tuple[str, str | None, int]]:
    """Yield module, name (None: the module itself) and line of each import.

    What is imported for type checkers only is left out.
    """
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            for alias in node.names:
                yield base, alias.name, node.lineno


def _with_packages(module: str) -> list[str]:
    """Return a module and the packages around it, which are imported before it."""
    parts = module.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _path(root: Path, module: str) -> Path | None:
    at = root.joinpath(*module.split("."))
    package, file = at / "__init__.py", at.with_suffix(".py")
    return package if package.exists() else file if file.exists() else None


def _name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
