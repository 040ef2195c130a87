"""The playbooks that ship: a folder each, with playbook.yaml, tests.yaml and sample alerts."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

NAMES = ("account-compromise", "brute-force-block", "c2-beacon-containment", "malware-on-endpoint")


def shipped() -> tuple[Traversable, ...]:
    """Return the folder of every shipped playbook, by name."""
    return tuple(files(__name__).joinpath(name) for name in NAMES)


def folder(name: str) -> Traversable:
    """Return the folder of a shipped playbook. Raises KeyError for an unknown name."""
    if name not in NAMES:
        raise KeyError(name)
    return files(__name__).joinpath(name)


def demo() -> Traversable:
    """Return `demo.yaml`: the alerts of the demo, their sources and their expected outcomes."""
    return files(__name__).joinpath("demo.yaml")
