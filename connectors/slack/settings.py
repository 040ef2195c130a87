"""What a Slack connection is configured with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings

ChannelId = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{6,20}$")]


class SlackSettings(HttpSettings):
    """A bot token of an app that is a member of the channels it writes to."""

    base_url: Annotated[str, Field(description="Where the Web API listens")] = "https://slack.com"
    bot_token: Annotated[
        SecretStr,
        Field(
            description="Bot token (xoxb-...): channels:read, channels:history, and the groups: pair for private channels"
        ),
    ]
    write_bot_token: Annotated[
        SecretStr | None,
        Field(
            description="Token of the same app with chat:write too; without it, bot_token does both",
            json_schema_extra=WRITE,
        ),
    ] = None
    signing_secret: Annotated[
        SecretStr | None,
        Field(
            min_length=8,
            description="The app's signing secret, by which a click on a button of ours is known to come from Slack",
        ),
    ] = None
    channels: Annotated[
        dict[str, ChannelId] | None,
        Field(
            description="The only channels there are, name to id; without it they are looked up in Slack"
        ),
    ] = None
