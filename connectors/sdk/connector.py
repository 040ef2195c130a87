"""What every connector is: a few async methods, checked at import, behind entry points that speak plain JSON to the engine."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import httpx

from connectors.sdk.call import Call, Tagged, in_call
from connectors.sdk.capability import Nothing
from connectors.sdk.declared import BoundAction, bind_actions
from connectors.sdk.guard import reading_only, refused
from connectors.sdk.http import Access, HttpClient
from connectors.sdk.plain import JsonObject, as_json, as_model, planned_change_of
from connectors.sdk.rate import RateLimit
from connectors.sdk.reply import Reply
from connectors.sdk.settings import ConnectorSettings, HttpSettings, secret_values
from orchestrator.domain.errors import ActionError, Rejected, TocsinError, Unknown

S = TypeVar("S", bound=ConnectorSettings)
_OURS = (
    "read",
    "plan",
    "apply",
    "verify",
    "undo",
    "verify_undone",
    "access",
    "way_out",
    "_bound",
    "_reading",
    "_changing",
)
"""Behind these stands the guard: a connector writes its actions, not these."""


class Connector(ABC, Generic[S]):
    """Subclassed once per vendor, beside a capability: `class PaloAlto(Connector[PaloAltoSettings], Firewall)`.

    `docs`: where the vendor documents the API. `unsupported`: actions of the capability that the system cannot do, and why.
    `untagged`: actions of which nothing on the system says that it was us, and why: `tagged` cannot list what they made.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    docs: ClassVar[str]
    rate_limit: ClassVar[RateLimit | None] = None
    unsupported: ClassVar[Mapping[str, str]] = {}
    untagged: ClassVar[Mapping[str, str]] = {}
    settings_type: ClassVar[type[ConnectorSettings]]
    bound: ClassVar[Mapping[str, BoundAction]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Raises TypeError, with the mend, for a connector that breaks the rules of the sdk."""
        super().__init_subclass__(**kwargs)
        for attribute in ("name", "title", "docs"):
            if not isinstance(getattr(cls, attribute, None), str):
                message = f"{cls.__module__}.{cls.__name__} has no `{attribute}`; add it as a class attribute"
                raise TypeError(message)
        for attribute in _OURS:
            if getattr(cls, attribute) is not getattr(Connector, attribute):
                message = f"{cls.__module__}.{cls.__name__}: {attribute} is the sdk's own; give yours another name"
                raise TypeError(message)
        cls.settings_type = _settings_type(cls)
        cls.bound = bind_actions(cls, cls.unsupported, reserved=set(vars(Connector)))

    def __init__(self, settings: S, http: HttpClient) -> None:
        self.settings = settings
        self.http = http
        self._way_out = http.way_out

    def __setattr__(self, name: str, value: object) -> None:
        """The one way out stays as it was when it was opened, also when `http` is exchanged. Raises WriteRefused."""
        if name == "_way_out" and name in vars(self):
            raise refused("it tried to alter its way out")
        super().__setattr__(name, value)

    @property
    def access(self) -> Access:
        """What this connector was opened for."""
        return self.http.access

    @property
    def way_out(self) -> object:
        """The transport that it was opened with: the only one that may send while it reads."""
        return self._way_out

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """Whether the request only reads. Override where the vendor's method says otherwise; when in doubt, False."""
        return request.method in {"GET", "HEAD", "OPTIONS"}

    @classmethod
    def retry_after(cls, reply: Reply) -> timedelta | None:  # noqa: ARG003  # for vendors to override
        """A vendor's own way of saying when to come back, beside Retry-After."""
        return None

    @classmethod
    def headers(cls, settings: S, access: Access) -> dict[str, str]:  # noqa: ARG003  # for vendors to override
        """Headers that go with every request, credentials among them."""
        return {}

    @classmethod
    def http_client(
        cls, settings: S, access: Access, transport: httpx.AsyncBaseTransport | None = None
    ) -> HttpClient:
        """The way out: to `base_url` alone, or nowhere for settings that have none."""
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
            trust=ssl.create_default_context(cafile=web.ca_file) if web and web.ca_file else True,
        )

    @abstractmethod
    async def check(self) -> str:
        """Try the credential, reading only; one line for the person who adds the connection. Raises an ActionError."""

    async def tagged(self) -> tuple[Tagged, ...]:
        """All on the system that carries a tag of ours, so that what we do not know of is found. Override where the vendor can list it.

        Reads only. Raises Rejected where it cannot be listed, Unavailable.
        """
        message = f"{self.title} cannot list what carries our tag"
        raise Rejected(message)

    async def read(self, action: str, input: JsonObject, call: Call) -> JsonObject:  # noqa: A002  # the engine's word
        """Carry out a read. Raises Unavailable, Rejected."""
        bound = self._bound(action, changes=False)
        with self._reading(call, action):
            output = await getattr(self, action)(as_model(bound.spec.input, input, action), call)
            return as_json(output)

    async def plan(self, action: str, input: JsonObject, call: Call) -> JsonObject:  # noqa: A002
        """The planned_change of the change that is due. Changes nothing. Raises Unavailable, Rejected."""
        bound = self._bound(action, changes=True)
        with self._reading(call, action):
            planned_change = await getattr(self, str(bound.plan))(
                as_model(bound.spec.input, input, action), call
            )
            return as_json(planned_change)

    async def apply(self, action: str, planned_change: JsonObject, call: Call) -> JsonObject:
        """Carry out a planned_change; the output's fields ({} for Nothing). Raises Unavailable, Rejected, Unknown.

        A planned_change with `changed: False` makes no change: an action that has an output reads it, any other does nothing.
        """
        bound = self._bound(action, changes=True)
        parsed = planned_change_of(bound, planned_change, action)
        if not parsed.changed and bound.spec.output is Nothing:
            return {}
        with self._changing(call, action) if parsed.changed else self._reading(call, action):
            output = await getattr(self, action)(parsed, call)
        return as_json(output) if output is not None else {}

    async def verify(
        self,
        action: str,
        input: JsonObject,
        planned_change: JsonObject,
        output: JsonObject,
        call: Call,
    ) -> bool:  # noqa: A002
        """Whether the system now is as asked, read back from it. Raises Unavailable, Rejected."""
        bound = self._bound(action, changes=True)
        if bound.verify is None:
            return not (await self.plan(action, input, call))["changed"]
        with self._reading(call, action):
            wish = as_model(bound.spec.input, input, action)
            return bool(
                await getattr(self, bound.verify)(
                    wish, planned_change_of(bound, planned_change, action), output, call
                )
            )

    async def undo(self, action: str, planned_change: JsonObject, call: Call) -> None:
        """Take back what the planned_change changed; nothing when it changed nothing. Raises Unavailable, Rejected, Unknown."""
        bound = self._bound(action, changes=True)
        if bound.undo is None:
            message = f"{self.name}: {action} cannot be undone"
            raise Rejected(message)
        parsed = planned_change_of(bound, planned_change, action)
        if parsed.changed:
            with self._changing(call, action):
                await getattr(self, bound.undo)(parsed, call)

    async def verify_undone(
        self, action: str, input: JsonObject, planned_change: JsonObject, call: Call
    ) -> bool:  # noqa: A002
        """Whether what the planned_change changed is gone again: planning anew finds the change due. Raises Unavailable, Rejected."""
        if not planned_change_of(self._bound(action, changes=True), planned_change, action).changed:
            return True
        return bool((await self.plan(action, input, call))["changed"])

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
            reason = self.unsupported.get(action, f"it has: {', '.join(self.bound)}")
            message = f"{self.name} has no action {action!r}: {reason}"
            raise Rejected(message)
        if bound.spec.effect.changes is not changes:
            message = f"{self.name}: {action} is {'a change' if bound.spec.effect.changes else 'a read'}, called as the other"
            raise Rejected(message)
        return bound

    @contextmanager
    def _reading(self, call: Call, action: str) -> Iterator[None]:
        with (
            in_call(call),
            reading_only(self._way_out),
            _ours_only(f"{self.name}: {action}", Rejected),
        ):
            yield

    @contextmanager
    def _changing(self, call: Call, action: str) -> Iterator[None]:
        with in_call(call), _ours_only(f"{self.name}: {action}", Unknown):
            yield


@contextmanager
def _ours_only(place: str, otherwise: type[ActionError]) -> Iterator[None]:
    """Lets our errors pass; of any other only the type's name, because its text may hold a secret."""
    try:
        yield
    except TocsinError:
        raise
    except ExceptionGroup as group:
        ours, _ = group.split(ActionError)
        if ours is not None:
            raise _leaf(ours) from None
        message = f"{place} failed inside the connector ({type(group.exceptions[0]).__name__})"
        raise otherwise(message) from None
    except Exception as error:  # noqa: BLE001  # whatever a vendor's code raises ends here
        message = f"{place} failed inside the connector ({type(error).__name__})"
        raise otherwise(message) from None


def _leaf(group: BaseException) -> BaseException:
    return _leaf(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group


def _settings_type(cls: type) -> type[ConnectorSettings]:
    """The type in `Connector[...]`, of this class or of the nearest parent that gives one."""
    for ancestor in cls.__mro__:
        for generic in vars(ancestor).get("__orig_bases__", ()):
            origin, arguments = get_origin(generic), get_args(generic)
            if (
                isinstance(origin, type)
                and issubclass(origin, Connector)
                and isinstance(arguments[0], type)
            ):
                return arguments[0]
    message = (
        f"{cls.__module__}.{cls.__name__} does not say its settings; write `Connector[ItsSettings]`"
    )
    raise TypeError(message)
