"""The `tocsin` command: what went wrong is one clear line, and an exit code that a script can use."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Runs the command that the arguments name. 0: done; 1: refused or altered; 2: unreadable, or typed wrongly; 130: interrupted."""
    from sqlalchemy.exc import DBAPIError

    from orchestrator.cli.app import app
    from orchestrator.domain.errors import TocsinError

    try:
        app(prog_name="tocsin")
    except TocsinError as error:
        sys.stderr.write(f"tocsin: {error}\n")
        return 1
    except DBAPIError as error:  # its text holds the statement with its values; that of the driver only what is wrong
        said = str(error.orig).partition("\n")[0]
        sys.stderr.write(
            f"tocsin: the database refused: {said}; look whether it is whole, and of this version, with `tocsin doctor`\n"
        )
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a list had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
