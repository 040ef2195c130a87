"""Workflows use nothing that a replay could find different. The check itself finds planted faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.determinism import Fault, faults, reached, roots

BEFORE = "orchestrator/engine/decide/planted.py"


def test_workflows_and_what_they_import_are_deterministic() -> None:
    assert not list(map(str, faults()))


def test_check_reaches_what_the_workflows_import() -> None:
    assert "orchestrator.engine.temporal.workflows.run_playbook" in roots()
    assert "orchestrator.authoring.debug.workflow" in roots()
    found = reached()
    assert {
        "orchestrator.engine.decide.interpreter",
        "orchestrator.engine.temporal.port",
        "orchestrator.playbook.language.evaluate",
        "orchestrator.domain.digest",
        "orchestrator",
    } <= found.keys()
    assert not [name for name in found if ".store" in name or ".activities" in name]


PLANTED = {
    "clock": ("import time\nNOW = time.time()", "imports time"),
    "datetime": ("from datetime import datetime\n\ndef f():\n    return datetime.now()", "asks the clock"),
    "datetime by its module": ("import datetime\n\ndef f():\n    return datetime.datetime.now()", "asks the clock"),
    "today": ("from datetime import date\nX = date.today", "asks the clock"),
    "randomness": ("def f():\n    import random\n    return random.random()", "imports random"),
    "secrets": ("from secrets import token_hex", "imports secrets"),
    "uuid": ("from uuid import uuid4", "imports uuid"),
    "new id": ("from orchestrator.domain.digest import new_id", "new_id, which is not pure"),
    "file": ("def f():\n    return open('x')", "uses open"),
    "path": ("from pathlib import Path", "imports pathlib"),
    "environment": ("import os", "imports os"),
    "network": ("import httpx", "imports httpx"),
    "thread": ("import threading", "imports threading"),
    "thread of asyncio": ("import asyncio\n\nasync def f():\n    await asyncio.to_thread(f)", "uses asyncio.to_thread"),
    "imported thread of asyncio": ("from asyncio import to_thread", "imports asyncio.to_thread"),
    "renamed asyncio": ("import asyncio as a\n\ndef f():\n    return a.new_event_loop()", "uses asyncio.new_event_loop"),
    "executor": (
        "import asyncio\n\ndef f():\n    return asyncio.get_running_loop().run_in_executor(None, f)",
        "leaves the workflow: run_in_executor",
    ),
    "process": ("import subprocess", "imports subprocess"),
    "evaluation": ("X = eval('1')", "uses eval"),
    "lazy import": ("X = __import__('random')", "uses __import__"),
    "hash of a text": ("X = hash('a')", "uses hash"),
    "order of a set": ("def f(a):\n    return [x for x in set(a)]", "iterates over a set"),
    "loop over a set": ("def f(a, b):\n    for x in {a, b}:\n        return x", "iterates over a set"),
    "state of a module": ("X = 0\n\ndef f():\n    global X\n    X += 1", "keeps state"),
    "temporal's client": ("from temporalio.client import Client", "imports temporalio.client"),
    "an activity's context": ("from temporalio import activity", "imports temporalio.activity"),
    "replay flag": (
        "from temporalio import workflow\n\ndef f():\n    return workflow.unsafe.is_replaying()",
        "uses unsafe.is_replaying",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_fault_is_found(tmp_path: Path, kind: str) -> None:
    text, expected = PLANTED[kind]
    _write(tmp_path, BEFORE, text)
    (fault,) = _found(tmp_path)
    assert fault.module == "orchestrator.engine.decide.planted"
    assert expected in fault.what


@pytest.mark.parametrize("indirectly", ["module", "name", "package", "relative"])
def test_fault_is_found_behind_imports(tmp_path: Path, indirectly: str) -> None:
    imports = {
        "module": "import orchestrator.far.away",
        "name": "from orchestrator.far import away",
        "package": "from orchestrator.far.near import X",
        "relative": "from ...far import away",
    }
    _write(
        tmp_path,
        "orchestrator/engine/temporal/workflows/planted.py",
        imports[indirectly].replace("...", "...."),
    )
    _write(tmp_path, "orchestrator/far/near.py", "X = 1")
    place = (
        "orchestrator/far/__init__.py" if indirectly == "package" else "orchestrator/far/away.py"
    )
    _write(tmp_path, place, "import socket")
    assert [fault.what for fault in _found(tmp_path)] == ["imports socket"]


def test_import_for_type_checkers_is_none(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pathlib import Path\n"
    _write(tmp_path, BEFORE, text)
    assert not _found(tmp_path)


def test_exempt_function_is_used_nowhere_else(tmp_path: Path) -> None:
    text = "import time\n\ndef new_id():\n    return time.time()\n\ndef other():\n    return {}\n"
    _write(tmp_path, BEFORE, "from orchestrator.domain import digest")
    _write(tmp_path, "orchestrator/domain/digest.py", text.format("1"))
    assert not _found(tmp_path)
    _write(tmp_path, "orchestrator/domain/digest.py", text.format("new_id()"))
    assert [fault.what for fault in _found(tmp_path)] == ["uses new_id, which is not pure"]
    _write(tmp_path, "orchestrator/domain/digest.py", text.format("time.time()"))
    assert [fault.what for fault in _found(tmp_path)] == ["imports time"]


def _write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for package in path.parents:
        if package == root:
            break
        (package / "__init__.py").touch()
    path.write_text(text, "utf-8")


def _found(root: Path) -> list[Fault]:
    return faults(root)
