"""The PAN-OS calls themselves: tags, configuration, commit and its job."""

from __future__ import annotations

import asyncio
import time
from xml.etree import ElementTree as ET

from connectors.palo_alto import xml
from connectors.palo_alto.settings import PaloAltoSettings
from connectors.sdk.call import Call
from connectors.sdk.http import HttpClient
from orchestrator.domain.errors import Rejected, Unknown

_ALREADY = ("already exists, ignore",)
_GONE = ("doesn't exist, ignore", "does not exist, ignore")
_NO_NODE = ("No such node",)
_PAGE = 500
_LOCATION = "/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='{vsys}']"


class PanOs:
    """One firewall's XML API. Every method raises Unavailable, Rejected, or (those that change) Unknown."""

    def __init__(self, http: HttpClient, settings: PaloAltoSettings) -> None:
        self._http = http
        self._settings = settings
        self._location = _LOCATION.format(vsys=settings.vsys)

    async def system(self) -> str:
        """`model, version` of the firewall."""
        root = await self._send(type="op", cmd=xml.write(xml.path("show", "system", "info")))
        return f"{root.findtext('result/system/model')}, PAN-OS {root.findtext('result/system/sw-version')}"

    async def tags_of(self, address: str) -> tuple[str, ...]:
        """The tags registered for an address."""
        root = await self._send(
            type="op",
            cmd=xml.write(xml.path("show", "object", "registered-ip", "ip", text=address)),
        )
        entries = (entry for entry in root.iter("entry") if entry.get("ip") == address)
        return tuple(member.text or "" for entry in entries for member in entry.iter("member"))

    async def registered(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """All addresses that tags are registered for, each with its tags."""
        found: list[tuple[str, tuple[str, ...]]] = []
        while True:  # PAN-OS answers at most 500 at a time, the newest versions 20,000
            start = str(len(found) + 1)
            parts = [xml.element("limit", text=str(_PAGE)), xml.element("start-point", text=start)]
            root = await self._send(
                type="op",
                cmd=xml.write(
                    xml.element("show", xml.element("object", xml.element("registered-ip", *parts)))
                ),
            )
            page = [
                (entry.get("ip", ""), tuple(member.text or "" for member in entry.iter("member")))
                for entry in root.iter("entry")
            ]
            found += page
            if len(page) < _PAGE:
                return tuple(found)

    async def register(self, address: str, tags: tuple[str, ...]) -> None:
        """Put tags on an address; those that are there already are fine."""
        await self._send(
            type="user-id",
            vsys=self._settings.vsys,
            cmd=xml.tag_update("register", address, tags),
            ignore=_ALREADY,
        )

    async def unregister(self, address: str, tags: tuple[str, ...]) -> None:
        """Take tags off an address; those that are gone already are fine."""
        await self._send(
            type="user-id",
            vsys=self._settings.vsys,
            cmd=xml.tag_update("unregister", address, tags),
            ignore=_GONE,
        )

    async def members(self) -> tuple[str, ...]:
        """The members of the network group in the running configuration. Rejected, with the mend, when there is no group."""
        group = self._settings.network_group
        root = await self._config("show", f"/address-group/entry[@name='{group}']", ignore=_NO_NODE)
        static = root.find(".//static")
        if static is None:
            message = f"there is no static address group {group!r} in {self._settings.vsys}; create it, use it in a deny rule, and commit"
            raise Rejected(message)
        return tuple(member.text or "" for member in static.iter("member"))

    async def put_in_group(self, name: str, network: str, note: str) -> None:
        """Make the address object and put it in the group, in the candidate configuration."""
        parts = [
            xml.element("ip-netmask", text=network),
            xml.element("description", text=note[:1000]),
        ]
        await self._config(
            "set", f"/address/entry[@name='{name}']", element="".join(map(xml.write, parts))
        )
        member = xml.write(xml.element("member", text=name))
        await self._config(
            "set",
            f"/address-group/entry[@name='{self._settings.network_group}']/static",
            element=member,
        )

    async def take_from_group(self, name: str) -> None:
        """Take the address object out of the group and remove it, in the candidate configuration."""
        group = self._settings.network_group
        await self._config(
            "delete",
            f"/address-group/entry[@name='{group}']/static/member[text()='{name}']",
            ignore=_NO_NODE,
        )
        await self._config("delete", f"/address/entry[@name='{name}']", ignore=_NO_NODE)

    async def commit(self, call: Call) -> None:
        """Commit our administrator's changes and wait for the job; after a crash, wait for the job that was started before.

        Rejected, naming the firewall's reason, when the job fails. Unknown when it does not end in time.
        """
        job = call.resume.get("job") if isinstance(call.resume, dict) else None
        if not isinstance(job, str):
            job = xml.jobs_id(await self._start_commit(call))
        if job is not None:  # None: there was nothing to commit
            await self._wait(job, call)

    async def _start_commit(self, call: Call) -> ET.Element:
        partial = xml.path("partial", "admin", "member", text=self._settings.admin)
        command = xml.element(
            "commit", partial, xml.element("description", text=f"{call.tag} {call.reason}"[:500])
        )
        return await self._send(type="commit", action="partial", cmd=xml.write(command))

    async def _wait(self, job: str, call: Call) -> None:
        until = time.monotonic() + self._settings.commit_timeout_seconds
        while True:
            call.heartbeat({"job": job})
            root = await self._send(
                type="op", cmd=xml.write(xml.path("show", "jobs", "id", text=job))
            )
            if root.findtext("result/job/status") == "FIN":
                break
            if time.monotonic() > until:
                message = f"commit job {job} did not end within {self._settings.commit_timeout_seconds:g} s; look at it on the firewall"
                raise Unknown(message)
            await asyncio.sleep(self._settings.poll_seconds)
        if root.findtext("result/job/result") != "OK":
            reasons = (
                "; ".join(filter(None, (line.text for line in root.iter("line"))))
                or "no reason given"
            )
            message = f"commit job {job} failed: {reasons[:300]}"
            raise Rejected(message)

    async def _config(
        self, action: str, place: str, *, element: str | None = None, ignore: tuple[str, ...] = ()
    ) -> ET.Element:
        more = {} if element is None else {"element": element}
        return await self._send(
            type="config", action=action, xpath=self._location + place, ignore=ignore, **more
        )

    async def _send(self, *, ignore: tuple[str, ...] = (), **form: str) -> ET.Element:
        return xml.succeed(await self._http.post("/api/", data=form), ignore=ignore)
