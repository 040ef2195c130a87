"""Settings of an installation, from the environment (TOCSIN_*) or a TOML file."""

from orchestrator.settings.model import PREFIX, Settings
from orchestrator.settings.problems import exposure, incomplete_settings, unknown_variables

__all__ = ["PREFIX", "Settings", "exposure", "incomplete_settings", "unknown_variables"]
