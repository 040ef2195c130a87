"""Which playbooks ship with Tocsin? One folder each: playbook.yaml, tests.yaml, and the alerts they were made for."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

NAMES = ("account-compromise", "brute-force-block", "c2-beacon-containment", "malware-on-endpoint")


def shipped() -> tuple[Traversable, ...]:
    """The folder of every shipped playbook, by name; each holds `playbook.yaml`, `tests.yaml` and `alerts/`."""
    return tuple(files(__name__).joinpath(name) for name in NAMES)


def folder(name: str) -> Traversable:
    """The folder of one shipped playbook. Raises KeyError for a name that does not ship."""
    if name not in NAMES:
        raise KeyError(name)
    return files(__name__).joinpath(name)


def demo() -> Traversable:
    """`demo.yaml`: which alert is sent from which source in the demo, and what has to come of it."""
    return files(__name__).joinpath("demo.yaml")
