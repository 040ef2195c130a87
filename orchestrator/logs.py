"""Logs of a service: one line per event on standard error, as text or JSON, without secrets.

Lines of libraries take the same form, from `warning` on: at lower levels, some write addresses with
their queries and headers. An exception is its type and its places, as its text may hold a secret.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from orchestrator.settings import Settings

_MAX_FRAMES = 20
_SECRET = re.compile(r"(tocsin_[0-9a-f]{16}_|whsec_|xox[a-z]-|Bearer |Basic )[A-Za-z0-9+/=_.-]{8,}")
_FIRST = ("time", "level", "event")
_logfmt = structlog.processors.LogfmtRenderer(bool_as_flag=False)


def configure_logs(settings: Settings, service: str) -> None:
    """Let this process write its logs to standard error. `service`: its name in each line."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _ServiceName(service),
        describe_exception,
        _redact,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else render_text
    )
    structlog.configure(
        processors=[*shared, _in_order, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[ProcessorFormatter.remove_processors_meta, _in_order, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))


def configure_command_logs() -> None:
    """Let a command write errors only, to standard error: what it prints may be data."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def describe_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the type of the exception and the places that it passed."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        event["where"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        ]
    return event


def render_text(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    """Return `TIME LEVEL event field=value ...` on one line of printable characters."""
    start = " ".join(str(event.pop(name, "")) for name in _FIRST)
    fields = {name: _one_line(value) for name, value in event.items() if value is not None}
    rest = str(_logfmt(None, "", fields))
    return _printable(f"{start} {rest}".rstrip())


class _ServiceName:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**event, "service": self._service}


def _redact(_: WrappedLogger, __: str, event: EventDict) -> Mapping[str, Any]:
    return {name: _without_secrets(value) for name, value in event.items()}


def _without_secrets(value: Any) -> Any:
    match value:
        case str():
            return _SECRET.sub(r"\1***", value)
        case list() | tuple():
            return [_without_secrets(each) for each in value]
        case _:
            return value


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**{name: event[name] for name in _FIRST if name in event}, **event}


def _one_line(value: Any) -> str:
    return " < ".join(map(str, value)) if isinstance(value, list) else str(value)


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
