"""What does any other product's payload say, by a mapping that an administrator configured?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Host, Severity
from orchestrator.domain.observable import ObservableType, Role
from orchestrator.intake.batch import each
from orchestrator.intake.body import JSON
from orchestrator.intake.mapping import Mapping, evaluate
from orchestrator.intake.normalize.endpoints import someone
from orchestrator.intake.normalize.json_cursor import (
    MAX_NAME,
    MAX_TITLE,
    Reading,
    fingerprint,
    identity,
)
from orchestrator.intake.normalize.observables import Sightings
from orchestrator.intake.normalize.severity import by_word
from orchestrator.intake.normalize.techniques import techniques
from orchestrator.intake.normalize.times import moment

_OURS = frozenset(kind.value for kind in AlertClass)
_MAX_FOUND = 256


@dataclass(frozen=True)
class GenericParser:
    """Parses by a mapping. `product` is what messages call the sender."""

    mapping: Mapping
    product: str = "generic"

    def __call__(self, payload: JSON, now: datetime) -> tuple[Alert, ...]:
        """The alerts that the mapping finds. Raises NotAnAlert where `when` says so, Unparseable."""
        body = Reading(self.product, payload, hint="does the mapping fit what the product sends?")
        if self.mapping.alerts is None:
            return each(body, self._finder(now))
        found = Reading(
            self.product,
            evaluate(self.mapping.alerts, payload),
            f"$[{self.mapping.alerts}]",
            body.hint,
        )
        if not isinstance(found.value, list):
            raise found.wrong("a list")
        return each(found, self._finder(now))

    def _finder(self, now: datetime) -> _Finder:
        return _Finder(self.mapping, now)


@dataclass(frozen=True)
class _Finder:
    mapping: Mapping
    now: datetime

    def __call__(self, item: Reading) -> Alert:
        if not isinstance(item.value, dict):
            raise item.wrong("an object")
        mapping = self.mapping
        found = _Found(item, mapping)
        if mapping.when is not None and evaluate(mapping.when, item.value) in (
            None,
            False,
            "",
            [],
            {},
        ):
            raise item.not_an_alert("the mapping's `when` says that this is no alert")
        title = found.text("title", MAX_TITLE)
        if title is None:
            raise Reading(
                item.product, found.raw("title"), f"{item.path}[{mapping.title}]", item.hint
            ).wrong("text (the title)")
        key = found.reading("dedup_key").exact()
        return item.alert(
            {
                "dedup_key": identity(key) if key else fingerprint(item.value),
                "title": title,
                "severity": _severity(found, mapping),
                "alert_class": _class(found, mapping),
                "rule": found.text("rule", MAX_NAME),
                "time": moment(found.raw("time"), self.now),
                "techniques": techniques(found.texts("techniques")),
                "resolved": found.flag("resolved"),
                **_what_it_names(found, mapping),
            }
        )


class _Found:
    """What the mapping's fields find in one alert. A list counts as its first element where one value is wanted."""

    def __init__(self, item: Reading, mapping: Mapping) -> None:
        self.item, self.mapping = item, mapping

    def raw(self, field: str) -> JSON:
        return evaluate(getattr(self.mapping, field), self.item.value)

    def reading(self, field: str) -> Reading:
        value = self.raw(field)
        return Reading(
            self.item.product,
            value[0] if isinstance(value, list) and value else value,
            self.item.path,
        )

    def text(self, field: str, limit: int = 4096) -> str | None:
        return self.reading(field).text(limit=limit)

    def texts(self, field: str) -> list[str]:
        return Reading(self.item.product, self.raw(field)).texts()

    def flag(self, field: str) -> bool:
        return self.reading(field).flag()


def _severity(found: _Found, mapping: Mapping) -> Severity:
    word, number = (found.text("severity") or "").lower(), found.reading("severity").number()
    known = mapping.severity_map.get(word)
    if known is None and mapping.severity_scale and number is not None:
        known = mapping.severity_scale.severity(number)
    if known is None and not mapping.severity_scale:
        known = (
            Severity(int(number)) if number is not None and number in range(1, 7) else by_word(word)
        )
    return known or mapping.severity_default or Severity.UNKNOWN


def _class(found: _Found, mapping: Mapping) -> str:
    for word in (text.lower() for text in found.texts("alert_class")):
        if word in mapping.class_map or word in _OURS:
            return mapping.class_map.get(word, word)
    return mapping.class_default


def _what_it_names(found: _Found, mapping: Mapping) -> dict[str, object]:
    seen = Sightings()
    local = seen.endpoint(found.text("local_address"), role=Role.LOCAL)
    return {
        "host": _host(found, seen),
        "user": seen.account(found.text("user"), found.text("user_domain")),
        "local": local if local and someone(local.address) else None,
        "remote": _remote(found, seen),
        "url": seen.see(ObservableType.URL, found.text("url"), Role.REMOTE),
        "file": seen.file(
            found.text("file_name"),
            found.text("file_path"),
            {kind: found.text(f"file_{kind}") for kind in ("sha256", "sha1", "md5")},
        ),
        "process": seen.process(
            found.text("process_name"),
            found.text("process_command_line"),
            found.reading("process_pid").integer(high=2**32),
        ),
        "observables": _observables(found, mapping, seen),
    }


def _host(found: _Found, seen: Sightings) -> Host | None:
    return seen.host(found.text("host_id"), found.text("host_name"), found.text("host_address"))


def _remote(found: _Found, seen: Sightings) -> Endpoint | None:
    end = seen.endpoint(
        found.text("remote_address"),
        found.reading("remote_port").integer(low=1, high=65535),
        Role.REMOTE,
    )
    end = end if end and someone(end.address) else None
    domain = seen.name(found.text("remote_domain"), Role.REMOTE)[1]
    if end is None:
        return Endpoint(domain=domain) if domain else None
    return end.model_copy(update={"domain": domain})


def _observables(found: _Found, mapping: Mapping, seen: Sightings) -> object:
    for rule in mapping.observables:
        values = Reading(found.item.product, evaluate(rule.path, found.item.value))
        for text in values.texts()[:_MAX_FOUND]:
            seen.see(rule.type, text, rule.role)
    return seen.all()
