"""Tasks of the sandbox: pure functions over JSON, and what carries them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter

from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem

Request = TypeVar("Request", bound=BaseModel)
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class SandboxTask(Generic[Request, Reply]):
    """A pure function. It may raise Invalid and PlaybookInvalid."""

    place: str
    """Where the task is defined: `module:NAME`."""
    function: Callable[[Request], Reply]
    request: type[Request]
    reply: Any
    """The type of the reply: whatever pydantic can validate."""

    def read(self, reply: bytes) -> Reply:
        """Return the reply of the process, validated."""
        found: Reply = TypeAdapter(self.reply).validate_json(reply)
        return found


class Sandbox(Protocol):
    """Carries out tasks."""

    async def run(self, task: SandboxTask[Request, Reply], request: Request) -> Reply:
        """Return what the task returns, and raise what it raises.

        Raise Invalid where it needs too much time or memory, Unavailable where no process is free.
        """

    async def close(self) -> None:
        """End the process, if there is one."""


class InProcess:
    """Carries out tasks where it is called: for commands, which serve one person."""

    async def run(self, task: SandboxTask[Request, Reply], request: Request) -> Reply:
        """Return what the task returns, and raise what it raises."""
        return task.function(request)

    async def close(self) -> None:
        """Do nothing."""


class Refusal(Frozen):
    """An error of a task, as it leaves the process."""

    message: str
    problems: tuple[PlaybookProblem, ...] | None = None

    @classmethod
    def of(cls, error: Invalid) -> Refusal:
        """Return what is kept of an error."""
        problems = error.problems if isinstance(error, PlaybookInvalid) else None
        return cls(message=str(error), problems=problems)

    def error(self) -> Invalid:
        """Return the error that the task raised."""
        return Invalid(self.message) if self.problems is None else PlaybookInvalid(self.problems)
