"""The ways to try a playbook before it takes alerts: rehearsal, backtest, shadow, debug session."""
