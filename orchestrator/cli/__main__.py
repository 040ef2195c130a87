"""How `python -m orchestrator.cli` is the `tocsin` command: the supervisor starts its children this way."""

from __future__ import annotations

import sys

from orchestrator.cli import main

if __name__ == "__main__":
    sys.exit(main())
