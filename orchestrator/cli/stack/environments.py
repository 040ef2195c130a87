"""The environments of a stack's programs: each gets what it needs, and no one else's secrets."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.settings import PREFIX, Settings

_NAMES = {
    "HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "TMPDIR", "TZ", "USER",
}  # fmt: skip
_PREFIXES = ("LC_", "PYTHON", "OTEL_", "COVERAGE_")
_OF_COMMANDS = {PREFIX + "API_KEY", PREFIX + "URL"}


def of_system(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what any program needs: places, language, certificates, and how Python runs."""
    return {
        name: value
        for name, value in environment.items()
        if name in _NAMES or name.startswith(_PREFIXES)
    }


def of_tocsin(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the API and the worker need: also all settings, with their secrets."""
    settings = {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in _OF_COMMANDS
    }
    return of_system(environment) | settings


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the lab needs: also the settings that are no secrets."""
    secrets = {
        PREFIX + name.upper()
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    return {name: value for name, value in of_tocsin(environment).items() if name not in secrets}
