"""Promises about HTTP: statuses and broken connections become the right error, without secrets."""

# ruff: noqa: S101, PT017  # these are tests

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from connectors.contract.under_test import ConnectorUnderTest
from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from connectors.sdk.emulator import Emulator, EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.settings import secret_fields
from connectors.sdk.transport import Access
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown


class HttpContract(ConnectorUnderTest):
    """Tests of a connector that speaks HTTP to an `Emulator`."""

    emulator: ClassVar[type[Emulator]]

    def make_world(self) -> Any:
        """Return a new emulator."""
        return self.emulator()

    def open(self, world: Any, access: Access, **settings: Any) -> Connector[Any]:
        """Open the connector on that emulator, inside this process."""
        merged = {**self.emulator.settings("http://127.0.0.1:1"), **settings}
        return open_connector(self.connector, merged, access, EmulatorTransport(world))

    @pytest.mark.parametrize("status", [429, 503])
    async def test_busy_system_is_unavailable_for_its_stated_time(
        self, any_action: str, status: int
    ) -> None:
        world, inputs = self.prepared(any_action)
        world.inject(kind="status", status=status, retry_after=7, times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable) as caught:
                await self.first_look(connector, any_action, inputs)
        assert caught.value.retry_after == timedelta(seconds=7)

    async def test_failing_system_is_unavailable_to_a_read(self, any_action: str) -> None:
        world, inputs = self.prepared(any_action)
        world.inject(kind="status", status=500, times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable):
                await self.first_look(connector, any_action, inputs)

    async def test_failure_after_change_requires_a_look(self, change: str) -> None:
        world, inputs = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            world.inject(kind="status", status=500, when="after", times=100)
            with pytest.raises((Unknown, Unavailable)):
                await connector.apply(change, planned_change, ActionCall.bare())
            world.clear_faults()
            output = await connector.apply(change, planned_change, ActionCall.bare())
            assert await connector.verify(change, inputs, planned_change, output, ActionCall.bare())
        assert all(effect["count"] == 1 for effect in world.effects)

    async def test_truncated_reply_is_unavailable_to_a_read(self, any_action: str) -> None:
        world, inputs = self.prepared(any_action)
        world.inject(kind="half_closed", times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable):
                await self.first_look(connector, any_action, inputs)

    async def test_slow_system_is_unavailable_to_a_read(self, any_action: str) -> None:
        world, inputs = self.prepared(any_action)
        world.inject(kind="latency", seconds=30, times=100)
        async with self.open(world, Access.READ, timeout_seconds=0.05) as connector:
            with pytest.raises(Unavailable):
                await self.first_look(connector, any_action, inputs)

    async def test_wrong_credential_is_rejected_without_a_secret_in_the_message(
        self, any_action: str
    ) -> None:
        world, inputs = self.prepared(any_action)
        secrets = filter(self._setting, secret_fields(self.connector.settings_type))
        wrong = dict.fromkeys(secrets, "wrong-secret-5ab1e")
        async with self.open(world, Access.READ, **wrong) as connector:
            with pytest.raises(Rejected, match="credential") as caught:
                await self.first_look(connector, any_action, inputs)
            with pytest.raises(Rejected, match="credential") as checked:
                await connector.check()
        assert "wrong-secret-5ab1e" not in f"{caught.value!r} {checked.value!r}"

    async def test_no_error_message_contains_a_secret(self, any_action: str) -> None:
        secrets = [
            value
            for name in secret_fields(self.connector.settings_type)
            if (value := self._setting(name))
        ]
        for status in (400, 403, 404, 409, 429, 500):
            world, inputs = self.prepared(any_action)
            world.inject(kind="status", status=status, times=100)
            async with self.open(world, Access.READ) as connector:
                try:
                    await self.first_look(connector, any_action, inputs)
                except ActionError as error:
                    assert not any(secret in f"{error!r}" for secret in secrets)

    def _setting(self, name: str) -> str | None:
        value = self.emulator.settings("http://127.0.0.1:1").get(name)
        return value if isinstance(value, str) else None
