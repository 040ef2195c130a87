"""The conditions that a row, or what it is about, has one of several names."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select
from sqlmodel import col

from orchestrator.store.search.filters import Names
from orchestrator.store.search.names import WITH_SHORT_NAMES
from orchestrator.store.tables import ObservableRow


def is_one_of(names: Names, type_: Any, value: Any, short: Any = None) -> ColumnElement[bool]:
    """Return the condition that a row has one of the names, with or without a domain."""
    exact: dict[str, set[str]] = defaultdict(set)
    shorts: dict[str, set[str]] = defaultdict(set)
    for name in names:
        exact[name.type].add(name.value)
        if name.type in WITH_SHORT_NAMES and short is not None:
            bare = name.short == name.value
            (shorts if bare else exact)[name.type].add(name.short)
    found = [(type_ == kind) & value.in_(values) for kind, values in exact.items()]
    if short is not None:
        found += [(type_ == kind) & short.in_(values) for kind, values in shorts.items()]
    return or_(false(), *found)


def subjects_of(names: Names) -> Any:
    """Return the query of the ids of alerts, runs and approvals that have one of the names."""
    columns = (col(ObservableRow.type), col(ObservableRow.value), col(ObservableRow.short))
    return select(col(ObservableRow.subject)).where(is_one_of(names, *columns))
