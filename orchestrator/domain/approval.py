"""What an approval binds: the digest that people see and send back, which changes were agreed with; who is one person; when it is late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.digest import digest

_DOUBLED_AT_MOST = 16


def approval_digest(
    *,
    run_id: str,
    plan_digest: str,
    path: str,
    question: str,
    changes: Sequence[str],
    form: dict[str, Any] | None,
) -> str:
    """The digest of a question: the run, the playbook's digest, the step, what is asked and the digests of all changes."""
    asked = {
        "run": run_id,
        "playbook": plan_digest,
        "path": path,
        "question": question,
        "changes": sorted(changes),
        "form": form,
    }
    return digest(asked)


def agreed_changes(asked: Sequence[str], chosen: Iterable[Sequence[str] | None]) -> tuple[str, ...]:
    """The changes that everybody who approved has chosen, in the order asked; None: all of them."""
    sets = [set(choice) for choice in chosen if choice is not None]
    return tuple(change for change in asked if all(change in choice for choice in sets))


def one_person(name: str) -> str:
    """A name as names are compared: `Ann`, `ann ` and the actor `person:ann` are one person, with however many keys."""
    return name.removeprefix("person:").strip().casefold()


def moment(clock: datetime, *seen: datetime | None) -> datetime:
    """Now, and never before what was written down already: a clock that goes backwards lets no question live longer."""
    return max([clock, *(each for each in seen if each is not None)])


def next_reminder(
    now: datetime, asked_at: datetime, expires_at: datetime, every: int, sent: int
) -> datetime | None:
    """When people are told again: first after `every` seconds or half of the time, then ever more rarely; None: not any more."""
    first = min(timedelta(seconds=every), (expires_at - asked_at) / 2)
    at = now + first * 2 ** min(sent, _DOUBLED_AT_MOST)
    return at if every > 0 and at < expires_at else None
