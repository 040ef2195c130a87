"""How the examples of the rules are written: only what tasks of them."""

from __future__ import annotations

import textwrap

_TRIGGER = """\
when: >-
  alert.class == 'c2_beacon' and alert.remote is not none and alert.remote.address is not none
  and alert.host is not none and alert.host.id is not none"""


def example(steps: str, *, trigger: str = _TRIGGER) -> str:
    """A playbook of these steps."""
    head = "playbook: example\nversion: 1\ntitle: An example\nowner: soc\ntrigger:\n"
    return f"{head}{textwrap.indent(trigger, '  ')}\nsteps:\n{textwrap.indent(textwrap.dedent(steps).strip(), '  ')}\n"
