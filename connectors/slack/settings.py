"""Settings of a Slack connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings

ChannelId = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{6,20}$")]


class SlackSettings(HttpSettings):
    """A bot token of an app that is a member of the channels it writes to."""

    base_url: Annotated[str, Field(description="URL of the Web API")] = "https://slack.com"
    bot_token: Annotated[
        SecretStr,
        Field(
            description="Bot token (xoxb-...): channels:read, channels:history, "
            "and groups:read, groups:history for private channels"
        ),
    ]
    write_bot_token: Annotated[
        SecretStr | None,
        Field(
            description="Bot token of the same app that also has chat:write; "
            "without it, bot_token does both",
            json_schema_extra=WRITE,
        ),
    ] = None
    signing_secret: Annotated[
        SecretStr | None,
        Field(
            min_length=8,
            description="The app's signing secret, which authenticates clicks on Tocsin's buttons",
        ),
    ] = None
    channels: Annotated[
        dict[str, ChannelId] | None,
        Field(
            description="The only channels to post to, name to id; without it, channels are "
            "looked up in Slack"
        ),
    ] = None
