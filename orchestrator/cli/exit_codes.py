"""Exit codes: what a script learns from every `tocsin` command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    DONE = 0
    NEGATIVE = 1
    UNREADABLE = 2
    INTERRUPTED = 130


MEANING = {
    ExitCode.DONE: "done; nothing found, nothing different",
    ExitCode.NEGATIVE: "refused or failed; or there are findings, differences or failed cases",
    ExitCode.UNREADABLE: "wrong usage or unreadable input; `playbook sync --plan`: changes pending",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}

EPILOG = "Exit codes: " + ". ".join(f"{code.value}: {text}" for code, text in MEANING.items()) + "."
"""The last paragraph of `tocsin --help`."""
