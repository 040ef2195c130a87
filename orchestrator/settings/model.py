"""Settings of an installation, from the environment (TOCSIN_*) or a TOML file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from orchestrator.domain.errors import Invalid
from orchestrator.settings import values
from orchestrator.settings.sinks import AuditSinks, check_secret

PREFIX = "TOCSIN_"
CONFIG = "TOCSIN_CONFIG"
"""The variable that names the TOML file, unless `--config` does."""


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
    database_url: Annotated[SecretStr | None, AfterValidator(values.parse_database_url)] = None
    temporal_address: Annotated[str, AfterValidator(values.parse_temporal_address)] = (
        "127.0.0.1:7233"
    )
    temporal_namespace: Annotated[str, Field(min_length=1, max_length=255)] = "default"
    temporal_bundled: bool = True  # `tocsin up` starts its own Temporal server
    # Towards a Temporal cluster. Any of these, and an API key, turns TLS on.
    temporal_tls: bool = False
    temporal_tls_ca_file: Path | None = None  # trusted instead of the system's authorities
    temporal_tls_cert_file: Path | None = None  # the client certificate, and its key (mode 600)
    temporal_tls_key_file: Path | None = None
    temporal_tls_server_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    temporal_api_key: SecretStr | None = None
    temporal_api_key_file: Path | None = None
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: values.Port = 8080
    # The API speaks TLS with this certificate, its chain behind it, and its key (mode 600): PEM.
    tls_cert: Path | None = None
    tls_key: Path | None = None
    environment: Literal["production", "staging"] = "production"
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    # For how long API keys are valid, unless their creation says otherwise.
    key_days: Annotated[int, Field(ge=1, le=3650)] = 90
    service_key_days: Annotated[int, Field(ge=1, le=3650)] = 365
    # Of the deliveries of each source that could not be read.
    rejected_keep_count: Annotated[int, Field(ge=1, le=100_000)] = 1000
    rejected_keep_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    rejected_keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    # Open runs of one source that began within an hour: beyond, its alerts wait. 0: no limit.
    source_open_runs: Annotated[int, Field(ge=0, le=100_000)] = 500
    # Deliveries that an API process accepts at once, and their bytes: beyond, it answers 429.
    intake_deliveries: Annotated[int, Field(ge=1, le=100_000)] = 500
    intake_bytes: Annotated[int, Field(ge=1024)] = 16 * 1024 * 1024
    # Sources whose deliveries find room while those of others use up three quarters of it.
    critical_sources: values.Names = ()
    # Requests in a minute, at once if need be; each API process counts for itself. 0: no limit.
    rate_limit_key: values.Rate = 6000
    rate_limit_address: values.Rate = 12_000
    rate_limit_source: values.Rate = 12_000  # deliveries to a source from one address
    rate_limit_failures: values.Rate = 300  # without valid credentials, from one address
    # Connections of an API process: of one address, unless it is a trusted proxy, and in all.
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 128
    connections: Annotated[int, Field(ge=10, le=100_000)] = 1000
    # Reverse proxies, whose X-Forwarded-For and -Proto name the client and scheme.
    trusted_proxies: values.Networks = ()
    encryption_key: SecretStr | None = None
    encryption_key_file: Path | None = None
    audit_key_file: Path | None = None
    # An age identity (mode 600), kept apart from the data directory: it opens both key files.
    key_identity_file: Path | None = None
    key_recipients: values.Recipients = ()  # whose identities open them as well, such as age1...
    # Where the audit trail is streamed to: file:///path, syslog+tls://host:port, https://host/path,
    # s3://bucket/prefix?region=REGION&retain_days=DAYS, rfc3161+https://host/path.
    audit_sinks: AuditSinks = ()
    audit_sinks_ca_file: Path | None = None  # trusted by sinks instead of the system's authorities
    audit_sinks_secret: Annotated[SecretStr | None, AfterValidator(check_secret)] = None
    audit_sinks_tsa_ca_file: Path | None = None  # the authorities of rfc3161+https sinks
    audit_sinks_s3_key_id: str | None = None
    audit_sinks_s3_secret: SecretStr | None = None
    audit_sinks_required: bool = False  # no change is made while no sink acknowledges
    audit_sinks_patience: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    # Run only versions that an author and a reviewer have signed.
    require_signed: bool = False
    # `PERSON KEY` lines. Where it is set, no other keys are trusted.
    trusted_signers_file: Path | None = None
    # Percent of a playbook that its tests must reach before it is promoted.
    minimum_coverage: Annotated[int, Field(ge=0, le=100)] = 90
    lab_url: Annotated[str | None, AfterValidator(values.parse_web_address)] = None
    # The API as people reach it: the base of links in mails.
    public_url: Annotated[str | None, AfterValidator(values.parse_public_url)] = None
    smtp_url: Annotated[SecretStr | None, AfterValidator(values.parse_smtp_url)] = None
    smtp_ca_file: Path | None = None  # trusted in addition to the system's authorities
    mail_from: values.MailAddress | None = None
    # For how long approvals of one playbook version, step and source join one batch. 0: none do.
    join_questions_within: Annotated[int, Field(ge=0, le=3600)] = 300
    # The connection that asks people in Slack.
    slack_connection: Annotated[str, Field(min_length=1, max_length=64)] = "chat"
    # The proxy through which connections reach their systems, and the hosts reached without it.
    outbound_proxy: Annotated[SecretStr | None, AfterValidator(values.parse_outbound_proxy)] = None
    no_proxy: values.NoProxy = ()
    # The workers of `tocsin up`, each a process on one core; by default from the cores.
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    # Where a worker serves its Prometheus metrics; `tocsin up` takes free ports.
    worker_metrics_host: Annotated[str, AfterValidator(values.parse_ip_address)] = "127.0.0.1"
    worker_metrics_port: values.Port | None = None
    # The OTLP collector (HTTP) that receives traces, such as http://127.0.0.1:4318.
    otlp_endpoint: Annotated[str | None, AfterValidator(values.parse_web_address)] = None
    otlp_authorization: SecretStr | None = None  # the collector's Authorization header
    otlp_ca_file: Path | None = None  # trusted instead of the system's authorities
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0  # the share of alerts that are traced
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    # Of each log of `tocsin up`: its size, and how many older files are kept.
    log_max_bytes: Annotated[int, Field(ge=65_536)] = 20 * 1024 * 1024
    log_keep: Annotated[int, Field(ge=1, le=1000)] = 5
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
    def audit_keys_path(self) -> Path:
        """The file of the changes of the audit key, without private keys."""
        return self.data_dir / "audit.keys"

    @property
    def admin_key_path(self) -> Path:
        """The file in which the first start leaves an API key."""
        return self.data_dir / "admin.key"

    @property
    def audit_head_path(self) -> Path:
        """The file in which this machine remembers the head of the audit trail."""
        return self.data_dir / "audit.head"

    @property
    def audit_timestamps_path(self) -> Path:
        """The file of the time stamps of the audit trail."""
        return self.data_dir / "audit.timestamps"

    @property
    def audit_anchor_path(self) -> Path:
        """The file in which this machine remembers the newest batch of the audit trail."""
        return self.data_dir / "audit.anchor"


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
