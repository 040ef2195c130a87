"""The configuration of the emulated firewall: address objects and one static address group."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

_MEMBER = re.compile(r"/static/member\[text\(\)='([^']+)'\]$")
_PLACEHOLDER = "tocsin-placeholder"


@dataclass
class Configuration:
    """A candidate or running configuration."""

    objects: dict[str, list[str]]
    """Netmask and description of each address object, by name."""
    groups: dict[str, list[str]]
    """The members of each address group, by name."""

    @classmethod
    def fresh(cls) -> Configuration:
        """Return a group with a placeholder, because PAN-OS allows no empty group."""
        return cls(
            {_PLACEHOLDER: ["192.0.2.255/32", "keeps the group from being empty"]},
            {"tocsin-blocked-networks": [_PLACEHOLDER]},
        )

    @classmethod
    def load(cls, plain: Any) -> Configuration:
        """Return the configuration that `dump` returned."""
        return cls(plain["objects"], plain["groups"])

    def dump(self) -> dict[str, Any]:
        """Return the configuration as JSON that shares no object with it."""
        objects = {name: list(entry) for name, entry in sorted(self.objects.items())}
        return {
            "objects": objects,
            "groups": {name: list(members) for name, members in sorted(self.groups.items())},
        }

    def networks(self) -> list[str]:
        """Return the networks of the groups, without the placeholder."""
        members = {
            member for group in self.groups.values() for member in group if member != _PLACEHOLDER
        }
        return sorted(self.objects[member][0] for member in members if member in self.objects)

    def show(self, place: str, names: list[str]) -> str | None:
        """Return the XML at an xpath, or None."""
        if "/address-group/" in place and names and names[0] in self.groups:
            members = "".join(
                f"<member>{escape(member)}</member>" for member in self.groups[names[0]]
            )
            return f'<entry name="{names[0]}"><static>{members}</static></entry>'
        if "/address/" in place and names and names[0] in self.objects:
            netmask = self.objects[names[0]][0]
            return f'<entry name="{names[0]}"><ip-netmask>{netmask}</ip-netmask></entry>'
        return None

    def change(
        self, act: str, place: str, names: list[str], element: str
    ) -> tuple[bool, str | None]:
        """Set or delete. Returns whether anything changed, and PAN-OS's error if it refuses."""
        if "/address-group/" in place:
            members = self.groups.get(names[0])
            if members is None:
                return False, f"{names[0]} is not a valid reference"
            return self._add(members, element) if act == "set" else self._drop(members, place)
        return self._put_object(names[0], element) if act == "set" else self._drop_object(names[0])

    def _add(self, members: list[str], element: str) -> tuple[bool, str | None]:
        name = ET.fromstring(element).text or ""  # noqa: S314  # a lab
        if name not in self.objects:
            return False, f"'{name}' is not a valid reference"
        if name in members:
            return False, None
        members.append(name)
        return True, None

    def _drop(self, members: list[str], place: str) -> tuple[bool, str | None]:
        found = _MEMBER.search(place)
        if found is None or found[1] not in members:
            return False, None
        if len(members) == 1:
            return False, "address-group is invalid: static needs at least one member"
        members.remove(found[1])
        return True, None

    def _put_object(self, name: str, element: str) -> tuple[bool, str | None]:
        parts = ET.fromstring(f"<entry>{element}</entry>")  # noqa: S314
        entry = [parts.findtext("ip-netmask") or "", parts.findtext("description") or ""]
        changed = self.objects.get(name) != entry
        self.objects[name] = entry
        return changed, None

    def _drop_object(self, name: str) -> tuple[bool, str | None]:
        if any(name in members for members in self.groups.values()):
            return False, f"{name} cannot be deleted because of references from: address-group"
        return self.objects.pop(name, None) is not None, None
