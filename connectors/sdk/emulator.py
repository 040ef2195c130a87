"""The `Emulator` base class: in-memory state, a log of effects by idempotency key, and faults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from connectors.sdk.call import JSON
from connectors.sdk.faults import ConnectionDropped, Fault, FaultLayer


class Emulator(ABC):
    """Base of a vendor's emulator, which speaks the vendor's wire format including its traps.

    A handler calls `record_effect` after every change that a request made.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.effects: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.on_change: Callable[[], None] = _do_nothing  # the lab writes its state file here
        self.seed()

    @classmethod
    @abstractmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return the connector settings, with credentials, that reach this emulator."""

    @abstractmethod
    def seed(self) -> None:
        """Set the initial state."""

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Return the vendor's endpoints."""

    @abstractmethod
    def in_force(self) -> JSON:
        """Return what is in force now, such as blocks, isolations, tickets and messages."""

    @abstractmethod
    def dump(self) -> JSON:
        """Return the whole state as JSON that shares no object with the emulator."""

    @abstractmethod
    def load(self, world: JSON) -> None:
        """Replace the state with what `dump` returned."""

    def record_effect(
        self, request: Request | None, action: str, target: str, key: str | None = None
    ) -> None:
        """Log an effect under `key`, or else the request's Idempotency-Key.

        The same action, target and key again increases the effect's count.
        """
        key = key or (request.headers.get("idempotency-key") if request is not None else None) or ""
        for effect in self.effects:
            if (effect["action"], effect["target"], effect["key"]) == (action, target, key):
                effect["count"] += 1
                break
        else:
            self.effects.append({"action": action, "target": target, "key": key, "count": 1})
        self.on_change()

    def state_changed(self) -> None:
        """Persist a change of state that is not an effect, such as a job's progress."""
        self.on_change()

    def state(self) -> dict[str, Any]:
        """Return what `GET /_lab/state` shows of this emulator."""
        return {"in_force": self.in_force(), "effects": list(self.effects)}

    def inject(self, **fault: Any) -> None:
        """Add a fault; see `Fault` for its fields."""
        self.faults.append(Fault.model_validate({"emulator": self.name, **fault}))

    def clear_faults(self) -> None:
        """Remove every fault."""
        self.faults.clear()

    def reset(self) -> None:
        """Return to the initial state, without effects and faults."""
        self.effects.clear()
        self.faults.clear()
        self.seed()
        self.on_change()

    def snapshot(self) -> JSON:
        """Return state and effects, for the state file and the `silent` fault."""
        return {"world": self.dump(), "effects": [dict(effect) for effect in self.effects]}

    def restore(self, snapshot: JSON) -> None:
        """Replace state and effects with those of a snapshot."""
        self.load(snapshot["world"])
        self.effects[:] = [dict(effect) for effect in snapshot["effects"]]
        self.on_change()

    def app(self) -> FaultLayer:
        """Return the ASGI application: the vendor's endpoints behind the fault layer."""
        return FaultLayer(Starlette(routes=list(self.routes())), self)


class EmulatorTransport(httpx.AsyncBaseTransport):
    """Connects a connector to an emulator inside this process, including dropped connections.

    `root` is the path at which the lab would mount the emulator.
    """

    def __init__(self, emulator: Emulator, root: str = "") -> None:
        self._inner = httpx.ASGITransport(app=emulator.app(), root_path=root)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. Raises httpx.RemoteProtocolError for a dropped connection."""
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionDropped as dropped:
            raise httpx.RemoteProtocolError(str(dropped), request=request) from None


def _do_nothing() -> None:
    """Persist nothing."""
