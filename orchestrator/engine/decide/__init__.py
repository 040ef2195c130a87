"""The deciding part of a run: pure code over ports, shared by runs, rehearsals and backtests."""
