"""What every emulator shares: state in memory, a log of effects by idempotency key, and faults injected on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from connectors.sdk.faults import ConnectionDropped, Fault, FaultLayer

JSON = Any

__all__ = ["ConnectionDropped", "Emulator", "EmulatorTransport", "Fault"]


class Emulator(ABC):
    """Subclassed once per vendor. It speaks the vendor's wire format, traps included, and keeps what is in force.

    Handlers call `record_effect` for every request that changed something, once the change is made.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.effects: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.on_change: Callable[[], None] = _nothing  # the lab writes its state file here
        self.seed()

    @classmethod
    @abstractmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """The settings, credentials included, with which a connector reaches this emulator at `base_url`."""

    @abstractmethod
    def seed(self) -> None:
        """Puts the world in its first state."""

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """The vendor's endpoints."""

    @abstractmethod
    def in_force(self) -> JSON:
        """What is in force now, for a person and for tests: blocks, isolations, tickets, messages."""

    @abstractmethod
    def dump(self) -> JSON:
        """The whole world as JSON."""

    @abstractmethod
    def load(self, world: JSON) -> None:
        """Puts a dumped world back."""

    def record_effect(
        self, request: Request | None, action: str, target: str, key: str | None = None
    ) -> None:
        """Logs an effect, under `key` or the request's Idempotency-Key; the same effect again counts up."""
        key = key or (request.headers.get("idempotency-key") if request is not None else None) or ""
        for effect in self.effects:
            if (effect["action"], effect["target"], effect["key"]) == (action, target, key):
                effect["count"] += 1
                break
        else:
            self.effects.append({"action": action, "target": target, "key": key, "count": 1})
        self.on_change()

    def changed(self) -> None:
        """Says that the world moved on without an effect (a job went ahead), so that it is kept."""
        self.on_change()

    def state(self) -> dict[str, Any]:
        """What `GET /_lab/state` shows of this emulator."""
        return {"in_force": self.in_force(), "effects": list(self.effects)}

    def inject(self, **fault: Any) -> None:
        """Adds a fault; see `Fault` for its fields."""
        self.faults.append(Fault.model_validate({"emulator": self.name, **fault}))

    def clear_faults(self) -> None:
        """Behaves again."""
        self.faults.clear()

    def reset(self) -> None:
        """Back to the first state: no effects, no faults."""
        self.effects.clear()
        self.faults.clear()
        self.seed()
        self.on_change()

    def snapshot(self) -> JSON:
        """World and effects, for the state file and for undoing in a lying reply."""
        return {"world": self.dump(), "effects": [dict(effect) for effect in self.effects]}

    def restore(self, snapshot: JSON) -> None:
        """Puts a snapshot back."""
        self.load(snapshot["world"])
        self.effects[:] = [dict(effect) for effect in snapshot["effects"]]
        self.on_change()

    def app(self) -> FaultLayer:
        """The ASGI application: the vendor's endpoints behind the faults."""
        return FaultLayer(Starlette(routes=list(self.routes())), self)


class EmulatorTransport(httpx.AsyncBaseTransport):
    """Lets a connector speak with an emulator inside this process, dropped connections included.

    `root`: the path at which the lab would mount it.
    """

    def __init__(self, emulator: Emulator, root: str = "") -> None:
        self._inner = httpx.ASGITransport(app=emulator.app(), root_path=root)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.RemoteProtocolError for a dropped connection."""
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionDropped as dropped:
            raise httpx.RemoteProtocolError(str(dropped), request=request) from None


def _nothing() -> None:
    """Nobody keeps the state."""
