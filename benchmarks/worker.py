"""Tocsin's worker without the firewall vendor's rate limit, which would otherwise be measured."""

from __future__ import annotations

import sys

from connectors.palo_alto.connector import PaloAlto

if __name__ == "__main__":
    PaloAlto.rate_limit = None
    from orchestrator.cli import main

    sys.argv = ["tocsin", "worker"]
    sys.exit(main())
