"""Connector settings: which fields are secret, and which secrets are write credentials."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Annotated, Any, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from connectors.sdk.proxy.choice import DIRECT, OutboundProxy, Proxy, parse_proxy
from orchestrator.domain.errors import Invalid

WRITE = {"credential": "write"}
"""`Field(json_schema_extra=WRITE)` marks a credential that is loaded for applying changes only."""


class ConnectorSettings(BaseModel):
    """Base of a vendor's settings.

    Secrets are `SecretStr`. A separate write credential is `SecretStr | None`, marked `WRITE`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(ConnectorSettings):
    """Base of the settings of a connector that speaks HTTP."""

    base_url: Annotated[
        str, Field(description="URL of the system, such as https://firewall.corp.example")
    ]
    timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="Time limit of one request, in seconds")
    ] = 20.0
    ca_file: Annotated[
        str | None,
        Field(
            description="PEM file of the CA certificates to trust instead of the system's, "
            "also for a proxy that is reached over TLS or that inspects TLS"
        ),
    ] = None
    plain_http: Annotated[
        bool, Field(description="Allow http:// to a host other than this machine")
    ] = False
    proxy: Annotated[
        str | None,
        Field(
            description="URL of an HTTP proxy, such as http://proxy.corp.example:3128, or `direct` "
            "for none; without it, outbound_proxy of the installation"
        ),
    ] = None
    proxy_user: Annotated[
        str | None, Field(min_length=1, pattern=r"^[^:]+$", description="User at the proxy")
    ] = None
    proxy_password: Annotated[
        SecretStr | None, Field(description="Password of proxy_user at the proxy")
    ] = None

    @model_validator(mode="after")
    def _base_url_is_safe(self) -> HttpSettings:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = (
                f"base_url {self.base_url!r} is not an http(s) URL; "
                "write it like https://firewall.corp.example"
            )
            raise ValueError(message)
        if parts.username or parts.password or parts.query or parts.fragment:
            message = (
                "base_url must not contain a user, a password, a query or a fragment; "
                "put credentials in their own settings"
            )
            raise ValueError(message)
        if parts.scheme == "http" and not self.plain_http and not is_this_machine(parts.hostname):
            message = (
                f"base_url {self.base_url!r} would send the credential in clear text; "
                "use https, or set plain_http"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _proxy_is_complete(self) -> HttpSettings:
        own = parse_proxy(self.proxy) if self.proxy not in {None, DIRECT} else None
        if own is not None and own.user is not None:
            message = "proxy must not contain a user; use proxy_user and proxy_password"
            raise ValueError(message)
        if own is not None and is_this_machine(urlsplit(self.base_url).hostname or ""):
            message = "proxy: base_url is this machine, which no proxy reaches; omit proxy"
            raise ValueError(message)
        if own is None and (self.proxy_user or self.proxy_password):
            message = "proxy_user and proxy_password belong to proxy; set its URL"
            raise ValueError(message)
        if self.proxy_password and not self.proxy_user:
            message = "proxy_password belongs to proxy_user; set it"
            raise ValueError(message)
        return self

    def choose_proxy(self, default: OutboundProxy | None) -> Proxy | None:
        """Return the proxy to `base_url`: its own, else the installation's, else None.

        This machine is always reached directly.
        """
        host = urlsplit(self.base_url).hostname or ""
        if self.proxy == DIRECT or is_this_machine(host):
            return None
        if self.proxy is not None:
            return replace(
                parse_proxy(self.proxy), user=self.proxy_user, password=self.proxy_password
            )
        return default.for_host(host) if default else None


S = TypeVar("S", bound=ConnectorSettings)


def parse_settings(connector: str, settings_type: type[S], settings: dict[str, Any]) -> S:
    """Return the settings of a connector.

    Raise Invalid, which names each wrong setting without its value, and those that there are.
    """
    try:
        return settings_type.model_validate(settings)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        known = ", ".join(settings_type.model_fields)
        details = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'settings'}: "
            + (f"unknown; use {known}" if problem["type"] == "extra_forbidden" else problem["msg"])
            for problem in problems
        )
        message = f"connector {connector}: {details}"
        raise Invalid(message) from None


def is_this_machine(host: str) -> bool:
    """Return whether the host is `localhost` or a loopback address. Names are not resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def secret_fields(settings_type: type[ConnectorSettings]) -> set[str]:
    """Return the names of the fields that contain a secret."""
    return {
        name
        for name, field in settings_type.model_fields.items()
        if _holds_secret(field.annotation)
    }


def write_fields(settings_type: type[ConnectorSettings]) -> set[str]:
    """Return the names of the write credentials."""
    return {
        name
        for name, field in settings_type.model_fields.items()
        if _marked_write(field.json_schema_extra)
    }


def without_write(settings: S) -> S:
    """Return a copy in which every write credential is None."""
    return settings.model_copy(update=dict.fromkeys(write_fields(type(settings))))


def secret_values(settings: ConnectorSettings) -> tuple[str, ...]:
    """Return the secrets in clear text, for redaction only."""
    values = (getattr(settings, name) for name in secret_fields(type(settings)))
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def _marked_write(extra: Any) -> bool:
    return isinstance(extra, dict) and extra.get("credential") == "write"


def settings_type_of(cls: type, base: type) -> type[ConnectorSettings]:
    """Return the type in `base[...]`, of a class or of its nearest parent that has one.

    Raises TypeError, with the fix, where none has.
    """
    for ancestor in cls.__mro__:
        for generic in vars(ancestor).get("__orig_bases__", ()):
            origin, arguments = get_origin(generic), get_args(generic)
            if (
                isinstance(origin, type)
                and issubclass(origin, base)
                and isinstance(arguments[0], type)
            ):
                return arguments[0]
    message = f"{cls.__module__}.{cls.__name__} names no settings; write `Connector[ItsSettings]`"
    raise TypeError(message)
