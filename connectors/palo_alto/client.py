"""The PAN-OS XML API: User-ID tags, configuration, commits and their jobs."""

from __future__ import annotations

import asyncio
import time
from xml.etree import ElementTree as ET

from connectors.palo_alto import xml
from connectors.palo_alto.settings import PaloAltoSettings
from connectors.sdk.call import ActionCall
from connectors.sdk.http import HttpClient
from orchestrator.domain.errors import Rejected, Unknown

_ALREADY = ("already exists, ignore",)
_GONE = ("doesn't exist, ignore", "does not exist, ignore")
_NO_NODE = ("No such node",)
_PAGE = 500
_LOCATION = "/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='{vsys}']"


class PanOsClient:
    """One firewall's XML API. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, http: HttpClient, settings: PaloAltoSettings) -> None:
        self._http = http
        self._settings = settings
        self._location = _LOCATION.format(vsys=settings.vsys)

    async def system(self) -> str:
        """Return model and version of the firewall, such as `PA-VM, PAN-OS 11.1.4`."""
        root = await self._send(type="op", cmd=xml.write(xml.path("show", "system", "info")))
        system = "result/system"
        return f"{root.findtext(f'{system}/model')}, PAN-OS {root.findtext(f'{system}/sw-version')}"

    async def tags_of(self, address: str) -> tuple[str, ...]:
        """Return the tags registered for an address."""
        root = await self._send(
            type="op",
            cmd=xml.write(xml.path("show", "object", "registered-ip", "ip", text=address)),
        )
        entries = (entry for entry in root.iter("entry") if entry.get("ip") == address)
        return tuple(member.text or "" for entry in entries for member in entry.iter("member"))

    async def registered(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return every address that has registered tags, with its tags."""
        addresses: list[tuple[str, tuple[str, ...]]] = []
        while True:  # a page is at most 500 entries, in the newest versions 20,000
            start = str(len(addresses) + 1)
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
            addresses += page
            if len(page) < _PAGE:
                return tuple(addresses)

    async def register(self, address: str, tags: tuple[str, ...]) -> None:
        """Register tags for an address. Registered ones are not an error."""
        await self._send(
            type="user-id",
            vsys=self._settings.vsys,
            cmd=xml.tag_update("register", address, tags),
            ignore=_ALREADY,
        )

    async def unregister(self, address: str, tags: tuple[str, ...]) -> None:
        """Unregister tags of an address. Missing ones are not an error."""
        await self._send(
            type="user-id",
            vsys=self._settings.vsys,
            cmd=xml.tag_update("unregister", address, tags),
            ignore=_GONE,
        )

    async def members(self) -> tuple[str, ...]:
        """Return the members of the network group in the running configuration.

        Raises Rejected, with the fix, when the group does not exist.
        """
        group = self._settings.network_group
        root = await self._config("show", f"/address-group/entry[@name='{group}']", ignore=_NO_NODE)
        static = root.find(".//static")
        if static is None:
            message = (
                f"{self._settings.vsys} has no static address group {group!r}; "
                "create it, use it in a deny rule, and commit"
            )
            raise Rejected(message)
        return tuple(member.text or "" for member in static.iter("member"))

    async def add_to_group(self, name: str, network: str, note: str) -> None:
        """Create the address object and add it to the group, in the candidate."""
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

    async def remove_from_group(self, name: str) -> None:
        """Remove the address object from the group and delete it, in the candidate."""
        group = self._settings.network_group
        await self._config(
            "delete",
            f"/address-group/entry[@name='{group}']/static/member[text()='{name}']",
            ignore=_NO_NODE,
        )
        await self._config("delete", f"/address/entry[@name='{name}']", ignore=_NO_NODE)

    async def commit(self, call: ActionCall) -> None:
        """Commit the administrator's changes and wait for the job.

        After a crash, waits for the job that was started before. Raises Rejected, with the
        firewall's reason, when the job fails, and Unknown when it does not end in time.
        """
        job = call.resume.get("job") if isinstance(call.resume, dict) else None
        if not isinstance(job, str):
            job = xml.job_id(await self._start_commit(call))
        if job is not None:  # None: nothing to commit
            await self._wait(job, call)

    async def _start_commit(self, call: ActionCall) -> ET.Element:
        partial = xml.path("partial", "admin", "member", text=self._settings.admin)
        command = xml.element(
            "commit", partial, xml.element("description", text=f"{call.tag} {call.reason}"[:500])
        )
        return await self._send(type="commit", action="partial", cmd=xml.write(command))

    async def _wait(self, job: str, call: ActionCall) -> None:
        until = time.monotonic() + self._settings.commit_timeout_seconds
        while True:
            call.heartbeat({"job": job})
            root = await self._send(
                type="op", cmd=xml.write(xml.path("show", "jobs", "id", text=job))
            )
            if root.findtext("result/job/status") == "FIN":
                break
            if time.monotonic() > until:
                seconds = self._settings.commit_timeout_seconds
                message = f"commit job {job} did not end within {seconds:g} s; check the firewall"
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
        return xml.parse_success(await self._http.post("/api/", data=form), ignore=ignore)
