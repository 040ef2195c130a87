"""Tasks that misbehave, for the sandbox of the tests."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem
from orchestrator.sandbox.task import SandboxTask


class Order(Frozen):
    """What a task is asked to do."""

    what: str = ""


class Surroundings(Frozen):
    """What the process of the sandbox can reach."""

    environment: dict[str, str]
    files: list[str]
    memory: int


def _spin(_: Order) -> str:
    while True:
        pass


def _allocate(_: Order) -> str:
    return "x" * (2 * 1024**3)


def _leave_child(order: Order) -> str:
    child = subprocess.Popen(["sleep", "600"])
    Path(order.what).write_bytes(b"")  # the process may make files, and write nothing into them
    Path(order.what).rename(f"{order.what}.{child.pid}")
    return _spin(order)


def _die(_: Order) -> str:
    os._exit(3)


def _write(order: Order) -> str:
    try:
        Path(order.what).write_text("x", "utf-8")
    except OSError as error:
        return type(error).__name__
    return "written"


def _look(_: Order) -> Surroundings:
    files = [str(Path(f"/proc/self/fd/{each}").resolve()) for each in os.listdir("/proc/self/fd")]
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
    return Surroundings(environment=dict(os.environ), files=files, memory=memory)


def _refuse(order: Order) -> str:
    if order.what == "playbook":
        raise PlaybookInvalid([PlaybookProblem("p.yaml", 1, 2, "block", "wrong", "right")])
    raise Invalid("policy.yaml:1:1: wrong")


def _fail(_: Order) -> str:
    raise LookupError("a secret of the client")


SPIN = SandboxTask(f"{__name__}:SPIN", _spin, Order, str)
LEAVE_CHILD = SandboxTask(f"{__name__}:LEAVE_CHILD", _leave_child, Order, str)
ALLOCATE = SandboxTask(f"{__name__}:ALLOCATE", _allocate, Order, str)
DIE = SandboxTask(f"{__name__}:DIE", _die, Order, str)
WRITE = SandboxTask(f"{__name__}:WRITE", _write, Order, str)
LOOK = SandboxTask(f"{__name__}:LOOK", _look, Order, Surroundings)
REFUSE = SandboxTask(f"{__name__}:REFUSE", _refuse, Order, str)
FAIL = SandboxTask(f"{__name__}:FAIL", _fail, Order, str)
