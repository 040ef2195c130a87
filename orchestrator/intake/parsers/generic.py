"""Parser for any product, by a mapping: shipped, or configured by an administrator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Host, Severity
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON
from orchestrator.intake.mapping import Mapping, evaluate
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import is_unicast_host
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key, fingerprint
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.severity import severity_of_word
from orchestrator.intake.normalize.times import read_time

_CLASS_NAMES = frozenset(kind.value for kind in AlertClass)
_MAX_FOUND = 4096
_NO_SEVERITY = frozenset({"", "-", "unknown", "undefined", "null"})


@dataclass(frozen=True)
class GenericParser:
    """A parser that follows a mapping. `product` names the sender in messages."""

    mapping: Mapping
    product: str = "generic"

    def __call__(self, payload: JSON, now: datetime) -> AlertBatch:
        """Return the alerts that the mapping finds.

        Raise NotAnAlert where `when` is false, Unparseable.
        """
        body = JsonCursor(
            self.product, payload, hint="does the mapping fit what the product sends?"
        )
        if self.mapping.alerts is None:
            return parse_batch(body, self._alert_parser(now))
        found = JsonCursor(
            self.product,
            evaluate(self.mapping.alerts, payload),
            f"$[{self.mapping.alerts}]",
            body.hint,
        )
        if not isinstance(found.value, list):
            raise found.wrong("a list")
        return parse_batch(found, self._alert_parser(now))

    def _alert_parser(self, now: datetime) -> _AlertParser:
        return _AlertParser(self.mapping, now)


@dataclass(frozen=True)
class _AlertParser:
    mapping: Mapping
    now: datetime

    def __call__(self, item: JsonCursor) -> Alert:
        if not isinstance(item.value, dict):
            raise item.wrong("an object")
        mapping = self.mapping
        found = _MappedAlert(item, mapping)
        if mapping.when is not None and evaluate(mapping.when, item.value) in (
            None,
            False,
            "",
            [],
            {},
        ):
            raise item.not_an_alert("the mapping's `when` does not match")
        title = found.text("title", MAX_TITLE)
        if title is None:
            raise JsonCursor(
                item.product, found.raw("title"), f"{item.path}[{mapping.title}]", item.hint
            ).wrong("text (the title)")
        key = found.cursor("dedup_key").exact()
        return item.alert(
            {
                "dedup_key": dedup_key(key) if key else fingerprint(item.value),
                "title": title,
                "severity": _severity(found, mapping),
                "alert_class": _class(found, mapping),
                "rule": found.text("rule", MAX_NAME),
                "time": read_time(self.now, found.cursor("time")),
                "techniques": classify.parse_techniques(found.texts("techniques")),
                "resolved": found.flag("resolved"),
                **_entities(found, mapping),
            }
        )


class _MappedAlert:
    """The values that the mapping's fields find in one alert.

    Where one value is expected, a list counts as its first element.
    """

    def __init__(self, item: JsonCursor, mapping: Mapping) -> None:
        self.item, self.mapping = item, mapping

    def raw(self, field: str) -> JSON:
        return evaluate(getattr(self.mapping, field), self.item.value)

    def cursor(self, field: str) -> JsonCursor:
        value = self.raw(field)
        return JsonCursor(
            self.item.product,
            value[0] if isinstance(value, list) and value else value,
            self._path(field),
            omissions=self.item.omissions,
        )

    def _path(self, field: str) -> str:
        return f"{self.item.path}[{getattr(self.mapping, field)}]"

    def text(self, field: str, limit: int = 4096) -> str | None:
        return self.cursor(field).text(limit=limit)

    def texts(self, field: str) -> list[str]:
        return JsonCursor(
            self.item.product, self.raw(field), self._path(field), omissions=self.item.omissions
        ).texts()

    def flag(self, field: str) -> bool:
        return self.cursor(field).flag()


def _severity(found: _MappedAlert, mapping: Mapping) -> Severity:
    severity = found.cursor("severity")
    word, number = (severity.text() or "").lower(), severity.number()
    known = mapping.severity_map.get(word)
    if known is None and mapping.severity_scale and number is not None:
        known = mapping.severity_scale.severity(number)
    if known is None and not mapping.severity_scale:
        known = (
            Severity(int(number))
            if number is not None and number in range(1, 7)
            else severity_of_word(word)
        )
    if known is None or known is Severity.UNKNOWN:
        if word not in _NO_SEVERITY and mapping.severity_default is None:
            severity.omissions.add_unreadable(severity.path, word, "a severity")
        return mapping.severity_default or Severity.UNKNOWN
    return known


def _class(found: _MappedAlert, mapping: Mapping) -> str:
    for word in (text.lower() for text in found.texts("alert_class")):
        if word in mapping.class_map or word in _CLASS_NAMES:
            return mapping.class_map.get(word, word)
    return mapping.class_default


def _entities(found: _MappedAlert, mapping: Mapping) -> dict[str, object]:
    observables = ObservableCollector(found.item.omissions)
    local = observables.add_endpoint(found.text("local_address"), role=ObservableRole.LOCAL)
    return {
        "host": _host(found, observables),
        "user": observables.add_user(found.text("user"), found.text("user_domain")),
        "local": local if local and is_unicast_host(local.address) else None,
        "remote": _remote(found, observables),
        "url": observables.add(ObservableType.URL, found.text("url"), ObservableRole.REMOTE),
        "file": observables.add_file(
            found.text("file_name"),
            found.text("file_path"),
            {kind: found.text(f"file_{kind}") for kind in ("sha256", "sha1", "md5")},
        ),
        "process": observables.add_process(
            found.text("process_name"),
            found.text("process_command_line"),
            found.cursor("process_pid").integer(high=2**32),
        ),
        "observables": _add_mapped(found, mapping, observables),
    }


def _host(found: _MappedAlert, observables: ObservableCollector) -> Host | None:
    return observables.add_host(
        found.text("host_id"), found.text("host_name"), found.text("host_address")
    )


def _remote(found: _MappedAlert, observables: ObservableCollector) -> Endpoint | None:
    end = observables.add_endpoint(
        found.text("remote_address"),
        found.cursor("remote_port").integer(low=1, high=65535),
        ObservableRole.REMOTE,
    )
    end = end if end and is_unicast_host(end.address) else None
    domain = observables.add_server_name(found.text("remote_domain"), ObservableRole.REMOTE)[1]
    if end is None:
        return Endpoint(domain=domain) if domain else None
    return end.model_copy(update={"domain": domain})


def _add_mapped(found: _MappedAlert, mapping: Mapping, observables: ObservableCollector) -> object:
    for rule in mapping.observables:
        values = JsonCursor(
            found.item.product,
            evaluate(rule.path, found.item.value),
            f"{found.item.path}[{rule.path}]",
            omissions=found.item.omissions,
        )
        for text in values.texts(most=_MAX_FOUND):
            observables.add(rule.type, text, rule.role)
    return observables.all()
