"""What a connector is configured with, which of it is secret, and which of the secrets may write."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

WRITE = {
    "credential": "write"
}  # `Field(json_schema_extra=WRITE)` marks a credential that a dry run never loads


class ConnectorSettings(BaseModel):
    """Subclassed once per vendor. Secrets are `SecretStr`; a separate write credential is `SecretStr | None`, marked `WRITE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(ConnectorSettings):
    """What every connector that speaks HTTP takes beside its own fields.

    `base_url` is http only towards this machine, unless `plain_http` says that the way there is safe.
    """

    base_url: Annotated[
        str, Field(description="Where the system listens, such as https://firewall.corp.example")
    ]
    timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="The longest one request may take, in seconds")
    ] = 20.0
    ca_file: Annotated[
        str | None,
        Field(description="A PEM file of the authority to trust instead of the usual ones"),
    ] = None
    plain_http: Annotated[
        bool, Field(description="Allow http:// to a host other than this machine")
    ] = False

    @model_validator(mode="after")
    def _base_url_is_safe(self) -> HttpSettings:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"base_url {self.base_url!r} is not an http(s) address; write it like https://firewall.corp.example"
            raise ValueError(message)
        if parts.username or parts.password or parts.query or parts.fragment:
            message = "base_url may not hold a user, a password, a query or a fragment; credentials have fields of their own"
            raise ValueError(message)
        if parts.scheme == "http" and not self.plain_http and not is_this_machine(parts.hostname):
            message = f"base_url {self.base_url!r} would send the credential in clear; use https, or set plain_http"
            raise ValueError(message)
        return self


S = TypeVar("S", bound=ConnectorSettings)


def is_this_machine(host: str) -> bool:
    """Whether the host is literally the loopback: `localhost`, 127.0.0.0/8, ::1. Names are not resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def secret_fields(settings_type: type[ConnectorSettings]) -> set[str]:
    """Names of the fields that hold a secret."""
    return {
        name
        for name, field in settings_type.model_fields.items()
        if _holds_secret(field.annotation)
    }


def write_fields(settings_type: type[ConnectorSettings]) -> set[str]:
    """Names of the credentials that only a change needs."""
    return {
        name
        for name, field in settings_type.model_fields.items()
        if _marked_write(field.json_schema_extra)
    }


def without_write(settings: S) -> S:
    """The same settings with each separate write credential replaced by None."""
    return settings.model_copy(update=dict.fromkeys(write_fields(type(settings))))


def secret_values(settings: ConnectorSettings) -> tuple[str, ...]:
    """The secrets in clear, for redaction only."""
    values = (getattr(settings, name) for name in secret_fields(type(settings)))
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def _marked_write(extra: Any) -> bool:
    return isinstance(extra, dict) and extra.get("credential") == "write"
