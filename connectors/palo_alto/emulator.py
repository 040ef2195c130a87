"""A PAN-OS firewall in memory: the XML API with its traps (failures under HTTP 200, one commit at a time, jobs to poll)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.palo_alto.configuration import Configuration
from connectors.sdk.emulator import Emulator

_READ_KEY, _WRITE_KEY = "lab-panos-read-key", "lab-panos-write-key"
_JOB_SECONDS, _JOB_POLLS = 1.0, 2
_NAME = re.compile(r"@name='([^']+)'")


class PaloAltoEmulator(Emulator):
    """`commit_locks`: how many commits are refused because another administrator holds the lock.

    `failing_commits`: how many jobs end in FAIL.
    """

    name = "palo_alto"
    tag: ClassVar[str] = "tocsin-blocked"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """A read key and a write key, quick polling."""
        keys = {"api_key": _READ_KEY, "write_api_key": _WRITE_KEY}
        return {
            "base_url": base_url,
            **keys,
            "admin": "tocsin",
            "poll_seconds": 0.02,
            "commit_timeout_seconds": 30,
        }

    def seed(self) -> None:
        """No tags, a group with its placeholder, nothing to commit."""
        self.tags: dict[str, list[str]] = {}
        self.candidate = Configuration.fresh()
        self.running = Configuration.fresh()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.commit_locks = 0
        self.failing_commits = 0

    def dump(self) -> dict[str, Any]:
        """The world as JSON."""
        plain = {
            "tags": self.tags,
            "jobs": self.jobs,
            "locks": self.commit_locks,
            "failing": self.failing_commits,
        }
        copied: dict[str, Any] = _copy(
            {**plain, "candidate": self.candidate.dump(), "running": self.running.dump()}
        )
        return copied

    def load(self, world: Any) -> None:
        """Puts a dumped world back."""
        world = _copy(world)
        self.tags, self.jobs = world["tags"], world["jobs"]
        self.commit_locks, self.failing_commits = world["locks"], world["failing"]
        self.candidate, self.running = (
            Configuration.load(world["candidate"]),
            Configuration.load(world["running"]),
        )

    def in_force(self) -> dict[str, list[str]]:
        """Addresses that carry the tag, networks in the group of the running configuration."""
        self._advance(polled=None)
        blocked = sorted(address for address, tags in self.tags.items() if self.tag in tags)
        return {"addresses": blocked, "networks": self.running.networks()}

    def routes(self) -> Sequence[Route]:
        """One endpoint does it all."""
        return [Route("/api/", self.api, methods=["GET", "POST"])]

    async def api(self, request: Request) -> Response:
        """Dispatches on `type`, after the key."""
        form = {
            **dict(request.query_params),
            **dict(parse_qsl((await request.body()).decode(), keep_blank_values=True)),
        }
        key = request.headers.get("x-pan-key") or form.get("key")
        if key not in {_READ_KEY, _WRITE_KEY}:
            return _xml(
                "<response status='error' code='403'><result><msg>Invalid Credential</msg></result></response>",
                403,
            )
        writes = form.get("type") in {"user-id", "commit"} or form.get("action") in {
            "set",
            "delete",
            "edit",
        }
        if writes and key != _WRITE_KEY:
            return _error("16", f"Type [{form.get('type')}] not authorized for user role.")
        self._advance(polled=None)
        match form:
            case {"type": "op", "cmd": command}:
                return self._operate(ET.fromstring(command))  # noqa: S314  # a lab
            case {"type": "user-id", "cmd": command}:
                return self._user_id(request, ET.fromstring(command))  # noqa: S314
            case {"type": "config", "action": act, "xpath": place}:
                return self._config(request, act, place, form.get("element", ""))
            case {"type": "commit"}:
                return self._commit(request)
            case _:
                return _error("17", "Invalid command")

    def _operate(self, command: ET.Element) -> Response:
        if command.find("system/info") is not None:
            return _success(
                "<system><hostname>lab-fw</hostname><model>PA-VM</model><sw-version>11.1.4</sw-version></system>"
            )
        if (address := command.findtext("object/registered-ip/ip")) is not None:
            return self._registered(address)
        if command.find("object/registered-ip") is not None:
            return self._all_registered(command.find("object/registered-ip"))
        if (job := command.findtext("jobs/id")) is not None:
            self._advance(polled=job)
            return self._job(job)
        return _error("17", "show is unexpected")

    def _registered(self, address: str) -> Response:
        tags = "".join(f"<member>{tag}</member>" for tag in self.tags.get(address, []))
        entry = (
            f'<entry ip="{address}" from_agent="0" persistent="1"><tag>{tags}</tag></entry>'
            if tags
            else ""
        )
        return _success(f"{entry}<count>{1 if tags else 0}</count>")

    def _all_registered(self, asked: ET.Element | None) -> Response:
        first = int((asked.findtext("start-point") if asked is not None else None) or 1) - 1
        most = int((asked.findtext("limit") if asked is not None else None) or 500)
        known = [(address, tags) for address, tags in sorted(self.tags.items()) if tags][
            first : first + most
        ]
        entries = "".join(
            f'<entry ip="{address}" from_agent="0" persistent="1"><tag>{"".join(f"<member>{tag}</member>" for tag in tags)}</tag></entry>'
            for address, tags in known
        )
        return _success(f"{entries}<count>{len(known)}</count>")

    def _user_id(self, request: Request, message: ET.Element) -> Response:
        problems: list[str] = []
        for verb in ("register", "unregister"):
            for entry in message.findall(f"payload/{verb}/entry"):
                address, tags = (
                    entry.get("ip", ""),
                    [member.text or "" for member in entry.iter("member")],
                )
                problems += self._retag(request, verb, address, tags)
        if problems:
            entries = "".join(f'<entry message="{problem}"/>' for problem in problems)
            return _xml(
                '<response status="error"><msg><line><uid-response><version>2.0</version>'
                f"<payload><register>{entries}</register></payload></uid-response></line></msg></response>"
            )
        return _xml(
            '<response status="success"><result><uid-response><version>2.0</version></uid-response></result></response>'
        )

    def _retag(self, request: Request, verb: str, address: str, tags: list[str]) -> list[str]:
        kept = self.tags.setdefault(address, [])
        if verb == "register":
            wrong = [f"tag {tag} already exists, ignore" for tag in tags if tag in kept]
            fit = [tag for tag in tags if tag not in kept]
            kept.extend(fit)
        else:
            wrong = [f"tag {tag} doesn't exist, ignore" for tag in tags if tag not in kept]
            fit = [tag for tag in tags if tag in kept]
            kept[:] = [tag for tag in kept if tag not in fit]
        if not kept:
            del self.tags[address]
        if fit:
            self.record_effect(request, verb, address)
        return wrong

    def _config(self, request: Request, act: str, place: str, element: str) -> Response:
        names = _NAME.findall(place)[2:]  # after the device and the vsys
        if act in {"get", "show"}:
            found = (self.running if act == "show" else self.candidate).show(place, names)
            if found is None:
                # A read of the running configuration fails where a read of the candidate succeeds with code 7.
                return (
                    _error(None, "No such node")
                    if act == "show"
                    else _xml('<response status="success" code="7"><result/></response>')
                )
            return _success(found)
        done, problem = self.candidate.change(act, place, names, element)
        if problem:
            return _error("12", problem)
        if act == "delete" and not done:
            return _xml(
                '<response status="success" code="7"><msg>Object doesn\'t exist</msg></response>'
            )
        if done:
            self.record_effect(request, f"config {act}", place.partition("/vsys/")[2])
        return _xml('<response status="success" code="20"><msg>command succeeded</msg></response>')

    def _commit(self, request: Request) -> Response:
        if self.commit_locks > 0:
            self.commit_locks -= 1
            self.changed()
            return _error("13", "Configuration is locked for commit by admin bob")
        if any(job["status"] == "ACT" for job in self.jobs.values()):
            return _error("13", "Another commit/validate is in progress. Please try again later")
        if self.candidate.dump() == self.running.dump():
            return _xml(
                '<response status="success" code="19"><msg>There are no changes to commit.</msg></response>'
            )
        number = str(len(self.jobs) + 1)
        fails = self.failing_commits > 0
        self.failing_commits -= fails
        self.jobs[number] = {
            "status": "ACT",
            "started": time.time(),
            "polls": 0,
            "fails": fails,
            "config": self.candidate.dump(),
        }
        self.record_effect(request, "commit", f"job {number}")
        line = f"<msg><line>Commit job enqueued with jobid {number}</line></msg><job>{number}</job>"
        return _xml(f'<response status="success" code="19"><result>{line}</result></response>')

    def _advance(self, *, polled: str | None) -> None:
        """A job ends after two looks or one second, whichever comes first."""
        for number, job in self.jobs.items():
            if job["status"] != "ACT":
                continue
            job["polls"] += number == polled
            if job["polls"] >= _JOB_POLLS or time.time() - job["started"] >= _JOB_SECONDS:
                job["status"] = "FIN"
                if not job["fails"]:
                    self.running = Configuration.load(_copy(job["config"]))
                self.changed()

    def _job(self, number: str) -> Response:
        job = self.jobs.get(number)
        if job is None:
            return _error("7", f"job {number} not found")
        done = job["status"] == "FIN"
        result = ("FAIL" if job["fails"] else "OK") if done else "PEND"
        details = (
            "Validation error: rule is invalid"
            if done and job["fails"]
            else "Configuration committed successfully"
            if done
            else ""
        )
        return _success(
            f"<job><id>{number}</id><type>Commit</type><status>{job['status']}</status><result>{result}</result>"
            f"<progress>{100 if done else 55}</progress><details><line>{details}</line></details></job>"
        )


def _copy(value: Any) -> Any:
    """A deep copy of plain JSON."""
    match value:
        case dict():
            return {key: _copy(item) for key, item in value.items()}
        case list():
            return [_copy(item) for item in value]
        case _:
            return value


def _xml(body: str, status: int = 200) -> Response:
    return Response(body, status, media_type="application/xml")


def _success(result: str) -> Response:
    return _xml(f'<response status="success"><result>{result}</result></response>')


def _error(code: str | None, message: str) -> Response:
    attribute = f' code="{code}"' if code else ""
    return _xml(f'<response status="error"{attribute}><msg><line>{message}</line></msg></response>')
