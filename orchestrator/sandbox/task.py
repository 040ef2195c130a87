"""Tasks of the sandbox: pure functions over JSON, and what carries them out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel, TypeAdapter

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem

Request = TypeVar("Request", bound=BaseModel)
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class SandboxTask(Generic[Request, Reply]):
    """A function of its request alone. It may raise Invalid, PlaybookInvalid and Unavailable."""

    place: str
    """Where the task is defined: `module:NAME`."""
    function: Callable[[Request], Reply | Coroutine[Any, Any, Reply]]
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
        reply = task.function(request)
        if inspect.iscoroutine(reply):
            awaited: Reply = await reply
            return awaited
        return cast("Reply", reply)

    async def close(self) -> None:
        """Do nothing."""


class Refusal(Frozen):
    """An error of a task, as it leaves the process."""

    message: str
    problems: tuple[PlaybookProblem, ...] | None = None
    unavailable: bool = False

    @classmethod
    def of(cls, error: Invalid | Unavailable) -> Refusal:
        """Return what is kept of an error."""
        problems = error.problems if isinstance(error, PlaybookInvalid) else None
        unavailable = isinstance(error, Unavailable)
        return cls(message=str(error), problems=problems, unavailable=unavailable)

    def error(self) -> Invalid | Unavailable:
        """Return the error that the task raised."""
        if self.unavailable:
            return Unavailable(self.message)
        return Invalid(self.message) if self.problems is None else PlaybookInvalid(self.problems)
