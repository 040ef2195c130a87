"""Settings of a Jira Cloud connection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings

Priority = Literal["low", "medium", "high", "critical"]
_PRIORITIES: dict[Priority, str] = {
    "low": "Low",
    "medium": "Medium",
    "high": "High",
    "critical": "Highest",
}


class JiraSettings(HttpSettings):
    """One project of one site. A playbook cannot reach tickets of another project."""

    email: Annotated[
        str, Field(min_length=3, description="E-mail address of the account behind api_token")
    ]
    api_token: Annotated[
        SecretStr, Field(description="API token of an account that may browse the project")
    ]
    write_email: Annotated[
        str | None, Field(description="E-mail address of the account behind write_api_token")
    ] = None
    write_api_token: Annotated[
        SecretStr | None,
        Field(
            description="API token that may create, comment and transition; "
            "without it, api_token does both",
            json_schema_extra=WRITE,
        ),
    ] = None
    project: Annotated[
        str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,9}$", description="Key of the project, such as SOC")
    ]
    issue_type: Annotated[
        str, Field(min_length=1, max_length=60, description="Name of the issue type of new tickets")
    ] = "Task"
    priorities: Annotated[
        dict[Priority, str],
        Field(description="Tocsin's priorities to Jira's; empty for a project without priorities"),
    ] = _PRIORITIES
    close_transition: Annotated[
        str | None,
        Field(
            description="Name of the transition that closes a ticket; "
            "without it, the first one that leads to a done status"
        ),
    ] = None
    site_url: Annotated[
        str | None, Field(description="URL at which people open tickets, if it is not base_url")
    ] = None

    @property
    def project_url(self) -> str:
        """The project's page."""
        return self.url_of(self.project)

    def url_of(self, key: str) -> str:
        """Return the page of a ticket or a project."""
        return f"{(self.site_url or self.base_url).rstrip('/')}/browse/{key}"
