"""The `Connector` base class: entry points that validate, guard and run a vendor's actions."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

import httpx

from connectors.sdk.binding import BoundAction, bind_actions
from connectors.sdk.call import (
    ActionCall,
    CallObserver,
    JsonObject,
    Operation,
    TaggedObject,
    hide_foreign_errors,
    observed_call,
)
from connectors.sdk.capability import NoOutput
from connectors.sdk.guard import reading_only, refusal
from connectors.sdk.http import HttpClient
from connectors.sdk.proxy.choice import OutboundProxy
from connectors.sdk.rate_limit import RateLimit
from connectors.sdk.reply import HttpReply
from connectors.sdk.settings import (
    ConnectorSettings,
    HttpSettings,
    secret_values,
    settings_type_of,
)
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unknown
from orchestrator.domain.observable import Target

S = TypeVar("S", bound=ConnectorSettings)
_FINAL = (
    "read", "plan", "apply", "verify", "undo", "verify_undone",
    "access", "transport", "_bound", "_planned", "_reading", "_changing",
)  # fmt: skip
"""Methods that enforce the guard. A connector must not override them."""


class Connector(ABC, Generic[S]):
    """Base of a vendor's connector, inherited together with a capability.

    `class PaloAlto(Connector[PaloAltoSettings], Firewall)`. The methods from `read` to
    `verify_undone` are the engine's entry points; they take and return plain JSON.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    docs: ClassVar[str]  # URL of the vendor's API documentation
    rate_limit: ClassVar[RateLimit | None] = None
    unsupported: ClassVar[Mapping[str, str]] = {}
    """Actions of the capability that the system cannot do, with the reason."""
    untagged: ClassVar[Mapping[str, str]] = {}
    """Actions whose objects carry no tag, with the reason: `list_tagged` does not return them."""
    settings_type: ClassVar[type[ConnectorSettings]]
    bound: ClassVar[Mapping[str, BoundAction]]
    observer: CallObserver | None = None  # set by the pool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the class. Raises TypeError, with the fix, when it breaks a rule of the SDK."""
        super().__init_subclass__(**kwargs)
        place = f"{cls.__module__}.{cls.__name__}"
        for attribute in ("name", "title", "docs"):
            if not isinstance(getattr(cls, attribute, None), str):
                message = f"{place} has no `{attribute}`; add it as a class attribute"
                raise TypeError(message)
        for attribute in _FINAL:
            if getattr(cls, attribute) is not getattr(Connector, attribute):
                message = f"{place} overrides {attribute}, which is the SDK's; use another name"
                raise TypeError(message)
        cls.settings_type = settings_type_of(cls, Connector)
        cls.bound = bind_actions(cls, cls.unsupported, reserved=set(vars(Connector)))

    def __init__(self, settings: S, http: HttpClient) -> None:
        self.settings = settings
        self.http = http
        self._transport = http.transport

    def __setattr__(self, name: str, value: object) -> None:
        """Keep the transport of the opened connection, even if `http` is replaced.

        Raises WriteRefused when `_transport` is assigned again.
        """
        if name == "_transport" and name in vars(self):
            raise refusal("replace the connection's transport")
        super().__setattr__(name, value)

    @property
    def access(self) -> Access:
        """The access that this connector was opened with."""
        return self.http.access

    @property
    def transport(self) -> object:
        """The transport of the opened connection, the only one that may send during a read."""
        return self._transport

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """Return whether the request only reads.

        Override where the vendor's HTTP method does not tell. When in doubt, return False.
        """
        return request.method in {"GET", "HEAD", "OPTIONS"}

    @classmethod
    def retry_after(cls, reply: HttpReply) -> timedelta | None:  # noqa: ARG003  # for vendors to override
        """Return the wait time from a vendor-specific header; Retry-After needs no override."""
        return None

    @classmethod
    def headers(cls, settings: S, access: Access) -> dict[str, str]:  # noqa: ARG003  # for vendors to override
        """Return the headers of every request, including credentials."""
        return {}

    @classmethod
    def http_client(
        cls,
        settings: S,
        access: Access,
        transport: httpx.AsyncBaseTransport | None = None,
        outbound: OutboundProxy | None = None,
    ) -> HttpClient:
        """Return a client that reaches `base_url` only, or no host when the settings have none."""
        web = settings if isinstance(settings, HttpSettings) else None
        return HttpClient(
            web.base_url if web else None,
            access=access,
            is_read=cls.is_read,
            rate_limit=cls.rate_limit,
            timeout=timedelta(seconds=web.timeout_seconds if web else 20),
            headers=cls.headers(settings, access),
            transport=transport,
            secrets=secret_values(settings),
            retry_after=cls.retry_after,
            proxy=web.choose_proxy(outbound) if web else None,
            trust=ssl.create_default_context(cafile=web.ca_file) if web and web.ca_file else True,
        )

    @abstractmethod
    async def check(self) -> str:
        """Test the credential with reads only.

        Returns one line for the person who adds the connection. Raises an ActionError.
        """

    async def list_tagged(self) -> tuple[TaggedObject, ...]:
        """Return every object on the system that carries one of Tocsin's tags.

        Reads only; override it where the vendor can list them. It is how orphans are found. Raises
        Rejected where the system cannot list them, Unavailable.
        """
        message = f"{self.title} cannot list objects by Tocsin's tag"
        raise Rejected(message)

    async def read(self, action: str, input: JsonObject, call: ActionCall) -> JsonObject:  # noqa: A002  # the engine's word
        """Run a read and return its output. Raises Unavailable, Rejected."""
        bound = self._bound(action, changes=False)
        with self._reading(call, action, "read"):
            output = await getattr(self, action)(bound.parse_input(input), call)
            return _as_json(output)

    async def plan(self, action: str, input: JsonObject, call: ActionCall) -> JsonObject:  # noqa: A002
        """Return the planned change and change nothing. Raises Unavailable, Rejected."""
        return await self._planned(action, input, call, "plan")

    async def apply(self, action: str, planned_change: JsonObject, call: ActionCall) -> JsonObject:
        """Apply a planned change and return the action's output, {} for NoOutput.

        A planned change with `changed: False` only reads the output, if the action has one. Raises
        Unavailable, Rejected, Unknown.
        """
        bound = self._bound(action, changes=True)
        parsed = bound.parse_planned_change(planned_change)
        if not parsed.changed and bound.spec.output is NoOutput:
            return {}
        enter = self._changing if parsed.changed else self._reading
        with enter(call, action, "apply"):
            output = await getattr(self, action)(parsed, call)
        return _as_json(output) if output is not None else {}

    async def verify(
        self,
        action: str,
        input: JsonObject,  # noqa: A002
        planned_change: JsonObject,
        output: JsonObject,
        call: ActionCall,
    ) -> bool:
        """Return whether the system shows the applied change. Raises Unavailable, Rejected."""
        bound = self._bound(action, changes=True)
        if bound.verify is None:
            return not (await self._planned(action, input, call, "verify"))["changed"]
        with self._reading(call, action, "verify"):
            parsed = bound.parse_planned_change(planned_change)
            check = getattr(self, bound.verify)
            return bool(await check(bound.parse_input(input), parsed, output, call))

    async def undo(
        self,
        action: str,
        planned_change: JsonObject,
        call: ActionCall,
        keep: tuple[Target, ...] = (),
    ) -> None:
        """Revert an applied change. Does nothing for a planned change with `changed: False`.

        `keep`: targets that other containments hold. What they cover stays, where the action shares
        objects on the system. Raises Unavailable, Rejected, Unknown.
        """
        bound = self._bound(action, changes=True)
        if bound.undo is None:
            message = f"{self.name}: {action} cannot be undone"
            raise Rejected(message)
        parsed = bound.parse_planned_change(planned_change)
        if parsed.changed:
            with self._changing(call, action, "undo"):
                more = {"keep": keep} if bound.shares_objects else {}
                await getattr(self, bound.undo)(parsed, call, **more)

    async def verify_undone(
        self,
        action: str,
        input: JsonObject,  # noqa: A002
        planned_change: JsonObject,
        call: ActionCall,
        keep: tuple[Target, ...] = (),
    ) -> bool:
        """Return whether the change is reverted, except for what `keep` covers.

        That is what the action's `undone` says, or else that a new plan would change something.
        Raises Unavailable, Rejected.
        """
        bound = self._bound(action, changes=True)
        parsed = bound.parse_planned_change(planned_change)
        if not parsed.changed:
            return True
        if bound.undone is not None:
            with self._reading(call, action, "verify_undone"):
                return bool(await getattr(self, bound.undone)(parsed, call, keep=keep))
        return bool((await self._planned(action, input, call, "verify_undone"))["changed"])

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def __aenter__(self) -> Connector[S]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _bound(self, action: str, *, changes: bool) -> BoundAction:
        bound = self.bound.get(action)
        if bound is None:
            reason = self.unsupported.get(action, f"its actions: {', '.join(self.bound)}")
            message = f"{self.name} has no action {action!r}: {reason}"
            raise Rejected(message)
        if bound.spec.effect.changes is not changes:
            kind, other = ("change", "read") if bound.spec.effect.changes else ("read", "change")
            message = f"{self.name}: {action} is a {kind}, but was called as a {other}"
            raise Rejected(message)
        return bound

    async def _planned(
        self, action: str, given: JsonObject, call: ActionCall, operation: Operation
    ) -> JsonObject:
        bound = self._bound(action, changes=True)
        with self._reading(call, action, operation):
            return _as_json(await getattr(self, str(bound.plan))(bound.parse_input(given), call))

    @contextmanager
    def _reading(self, call: ActionCall, action: str, operation: Operation) -> Iterator[None]:
        with (
            observed_call(call, action, operation, self.observer),
            reading_only(self._transport),
            hide_foreign_errors(f"{self.name}: {action}", Rejected),
        ):
            yield

    @contextmanager
    def _changing(self, call: ActionCall, action: str, operation: Operation) -> Iterator[None]:
        observed = observed_call(call, action, operation, self.observer)
        with observed, hide_foreign_errors(f"{self.name}: {action}", Unknown):
            yield


def _as_json(model: Any) -> JsonObject:
    plain: JsonObject = model.model_dump(mode="json")
    return plain
