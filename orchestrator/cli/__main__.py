"""`python -m orchestrator.cli`: the `tocsin` command, as the supervisor starts its children."""

from __future__ import annotations

import sys

from orchestrator.cli import main

if __name__ == "__main__":
    sys.exit(main())
