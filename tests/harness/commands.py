"""The `tocsin` command in the tests' own process: the same `main`, without the start of a process."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

import structlog

from orchestrator.cli import main


class CommandOutcome(NamedTuple):
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


class _Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@contextmanager
def _usual_logs() -> Iterator[None]:
    """Leave the logs as they were: a command configures them for its whole process."""
    configured = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.configure(**configured)
        root.handlers, root.level = handlers, level


def tocsin(
    *arguments: object, stdin: str = "", typed: str | None = None, **environment: str
) -> CommandOutcome:
    """Run a command whose environment holds no variable of Tocsin's but the given ones.

    `typed`: what a person types on a terminal, instead of `stdin`.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    out, err = io.StringIO(), io.StringIO()
    with (
        _usual_logs(),
        patch.dict(os.environ, {**clean, **environment}, clear=True),
        patch.object(sys, "stdin", io.StringIO(stdin) if typed is None else _Terminal(typed)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 0
    return CommandOutcome(int(code), out.getvalue(), err.getvalue())
