"""Settings of an installation, from the environment (TOCSIN_*) or a TOML file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from orchestrator.domain.errors import Invalid

PREFIX = "TOCSIN_"
CONFIG = "TOCSIN_CONFIG"
"""The variable that names the TOML file, unless `--config` does."""

_OTHER_VARIABLES = (
    CONFIG,
    "TOCSIN_API_KEY",
    "TOCSIN_URL",
    "TOCSIN_LIFELINE",
    "TOCSIN_LISTENER",
)
"""Variables that are no settings: of commands, and of the children of `tocsin up`."""

_POSTGRESQL = ("postgresql+asyncpg", "postgresql", "postgres")


def _database_url(url: SecretStr | None) -> SecretStr | None:
    if url is None:
        return None
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme not in {"sqlite+aiosqlite", *_POSTGRESQL}:
        raise ValueError(
            "write postgresql://user:password@host/name, "
            "or omit it for SQLite in the data directory"
        )
    return SecretStr(f"postgresql+asyncpg://{rest}") if scheme in _POSTGRESQL else url


def _web_address(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise ValueError("write it like http://127.0.0.1:8090")
    return url.rstrip("/")


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(text.strip(), strict=False)) for text in texts)
    except ValueError as error:
        raise ValueError(f"{error}; write networks such as 192.0.2.0/24") from None


def _temporal_address(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "/" in address:
        raise ValueError("write it as host:port, such as 127.0.0.1:7233")
    return address


def _smtp_url(url: SecretStr | None) -> SecretStr | None:
    if url is None:
        return None
    parts = urlsplit(url.get_secret_value())
    if (
        parts.scheme not in {"smtp", "smtps"}
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query not in {"", "tls=none"}
    ):
        raise ValueError(
            "write it like smtp://user:password@mail.example:587, or smtps://...; "
            "?tls=none sends without encryption"
        )
    if parts.query and (parts.scheme == "smtps" or parts.password):
        raise ValueError(
            "tls=none needs smtp:// and no password, which would be sent without encryption"
        )
    return url


def _public_url(url: str | None) -> str | None:
    """Require HTTPS, as anyone who can read a link in transit can use it to decide."""
    address = _web_address(url)
    if (
        address is not None
        and urlsplit(address).scheme == "http"
        and urlsplit(address).hostname not in {"127.0.0.1", "::1", "localhost"}
    ):
        raise ValueError(
            "links decide approvals, so use https://; http:// is only for this machine"
        )
    return address


Port = Annotated[int, Field(ge=1, le=65_535)]
MailAddress = Annotated[
    str, Field(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")
]


class Settings(BaseSettings):
    """All settings. Paths that are not set are in `data_dir`. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
    )

    data_dir: Path = Path("tocsin-data")
    database_url: Annotated[SecretStr | None, AfterValidator(_database_url)] = None
    temporal_address: Annotated[str, AfterValidator(_temporal_address)] = "127.0.0.1:7233"
    temporal_namespace: Annotated[str, Field(min_length=1, max_length=255)] = "default"
    temporal_bundled: bool = True  # `tocsin up` starts its own Temporal server
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    environment: Literal["production", "staging"] = "production"
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    # Of the deliveries of each source that could not be read.
    rejected_keep_count: Annotated[int, Field(ge=1, le=100_000)] = 1000
    rejected_keep_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    rejected_keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    # Networks of reverse proxies, whose X-Forwarded-For names the sender of a webhook.
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = ()
    encryption_key: SecretStr | None = None
    encryption_key_file: Path | None = None
    audit_key_file: Path | None = None
    # Run only versions that an author and a reviewer have signed.
    require_signed: bool = False
    # `PERSON KEY` lines. Where it is set, no other keys are trusted.
    trusted_signers_file: Path | None = None
    # Percent of a playbook that its tests must reach before it is promoted.
    minimum_coverage: Annotated[int, Field(ge=0, le=100)] = 90
    lab_url: Annotated[str | None, AfterValidator(_web_address)] = None
    # The API as people reach it: the base of links in mails.
    public_url: Annotated[str | None, AfterValidator(_public_url)] = None
    smtp_url: Annotated[SecretStr | None, AfterValidator(_smtp_url)] = None
    smtp_ca_file: Path | None = None  # trusted in addition to the system's authorities
    mail_from: MailAddress | None = None
    # The connection that asks people in Slack.
    slack_connection: Annotated[str, Field(min_length=1, max_length=64)] = "chat"
    worker_metrics_port: Port | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_seconds: Annotated[float, Field(gt=0, le=300)] = 8.0

    @classmethod
    def load(cls, config: Path | None = None, **overrides: Any) -> Self:
        """Return overrides (None: not given), then the environment, then the TOML file.

        Raise Invalid that names each wrong setting.
        """
        file = config or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**{**_read(file), **EnvSettingsSource(cls)(), **given})
        except ValidationError as error:
            raise Invalid(_explain(error, file)) from None

    @property
    def store_url(self) -> str:
        """The database, including its password: for the store only."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'tocsin.db'}"

    @property
    def sqlite_path(self) -> Path | None:
        """The database file in the data directory; None where `database_url` is set."""
        return self.data_dir / "tocsin.db" if self.database_url is None else None

    @property
    def database_name(self) -> str:
        """The database without user and password, as people are shown it."""
        if self.database_url is None:
            return str(self.data_dir / "tocsin.db")
        parts = urlsplit(self.database_url.get_secret_value())
        socket = dict(parse_qsl(parts.query)).get("host")
        place = socket or (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
        return f"{parts.scheme.partition('+')[0]}://{place}{parts.path}"

    @property
    def temporal_db_path(self) -> Path:
        """The database file of the bundled Temporal server."""
        return self.data_dir / "temporal.db"

    @property
    def encryption_key_path(self) -> Path:
        """The file of the encryption key, unless the key is in the environment."""
        return self.encryption_key_file or self.data_dir / "encryption.key"

    @property
    def audit_key_path(self) -> Path:
        """The file of the key that signs the audit trail."""
        return self.audit_key_file or self.data_dir / "audit.key"

    @property
    def admin_key_path(self) -> Path:
        """The file in which the first start leaves an API key."""
        return self.data_dir / "admin.key"

    @property
    def audit_head_path(self) -> Path:
        """The file in which this machine remembers the head of the audit trail."""
        return self.data_dir / "audit.head"


class UnknownVariable(NamedTuple):
    """A TOCSIN_* variable that no part of Tocsin reads."""

    name: str
    meant: str | None
    """The variable with a similar name."""

    def __str__(self) -> str:
        fix = f"did you mean {self.meant}?" if self.meant else "remove it, or see docs/operating.md"
        return f"{self.name}: unknown variable, which has no effect; {fix}"


def unknown_variables(environment: Mapping[str, str]) -> list[UnknownVariable]:
    """Return the TOCSIN_* variables that have no effect, by name."""
    known = [PREFIX + name.upper() for name in Settings.model_fields] + list(_OTHER_VARIABLES)
    return [
        UnknownVariable(name, next(iter(get_close_matches(name.upper(), known, n=1)), None))
        for name in sorted(environment)
        if name.startswith(PREFIX) and name.upper() not in known
    ]


def incomplete_settings(settings: Settings) -> list[str]:
    """Return a sentence for each group of settings of which only some are given."""
    mail = {
        "smtp_url": settings.smtp_url,
        "mail_from": settings.mail_from,
        "public_url": settings.public_url,
    }
    if settings.smtp_url is None and settings.mail_from is None:
        return []  # `public_url` alone serves the links in Slack
    missing = [name for name, value in mail.items() if value is None]
    return [f"no mail is sent: also set {' and '.join(missing)}"] if missing else []


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Invalid(
            f"{file}: cannot read it ({error.strerror}); "
            f"name the TOML file with --config or {CONFIG}"
        ) from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise Invalid(f"{file}: not TOML: {error}") from error


def _explain(error: ValidationError, file: Path | None) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(map(str, problem["loc"]))
        known = str(problem["loc"][0]) in Settings.model_fields if problem["loc"] else False
        place = f"{name} ({PREFIX}{name.upper()})" if known else f"{name} ({file or 'given'})"
        message = (
            problem["msg"].removeprefix("Value error, ")
            if known
            else f"unknown setting; known are: {', '.join(Settings.model_fields)}"
        )
        lines.append(f"setting {place}: {message}")
    return "\n".join(lines)
