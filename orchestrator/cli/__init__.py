"""The `tocsin` command: an error is one clear line, and an exit code that a script can use."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code (see `exit_codes`)."""
    from orchestrator.cli.app import app
    from orchestrator.cli.exit_codes import ExitCode
    from orchestrator.cli.output import print_refusal
    from orchestrator.domain.errors import TocsinError

    try:
        app(arguments, prog_name="tocsin")
    except TocsinError as error:
        print_refusal(error)
        return ExitCode.NEGATIVE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader of a list has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NEGATIVE
    except Exception as error:
        if (reason := _database_error(error)) is None:
            raise
        sys.stderr.write(f"tocsin: the database refused: {reason}; run `tocsin doctor`\n")
        return ExitCode.NEGATIVE
    return ExitCode.DONE


def _database_error(error: Exception) -> str | None:
    """Return the driver's message; that of SQLAlchemy also holds the statement with its values."""
    library = sys.modules.get("sqlalchemy.exc")  # not imported for commands without a database
    if library is None or not isinstance(error, library.DBAPIError):
        return None
    return str(error.orig).partition("\n")[0]
