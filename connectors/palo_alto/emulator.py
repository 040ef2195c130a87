"""An emulated PAN-OS firewall: the XML API with User-ID tags, configuration and commit jobs."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, ClassVar
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.palo_alto.emulator_configuration import Configuration
from connectors.sdk.emulator import Emulator

_READ_KEY, _WRITE_KEY = "lab-panos-read-key", "lab-panos-write-key"
_JOB_SECONDS, _JOB_POLLS = 1.0, 2
_NAME = re.compile(r"@name='([^']+)'")


class PaloAltoEmulator(Emulator):
    """A firewall with an empty tag list and one address group.

    Traps: failures under HTTP 200; one commit at a time; jobs to poll.
    """

    name = "palo_alto"
    tag: ClassVar[str] = "tocsin-blocked"
    commit_locks: int
    """The number of commits that are refused because another administrator has the lock."""
    failing_commits: int
    """The number of commit jobs that end in FAIL."""

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return a read key, a write key and a short poll interval."""
        keys = {"api_key": _READ_KEY, "write_api_key": _WRITE_KEY}
        return {
            "base_url": base_url,
            **keys,
            "admin": "tocsin",
            "poll_seconds": 0.02,
            "commit_timeout_seconds": 30,
        }

    def seed(self) -> None:
        """Set the initial state: no tags, a group with its placeholder, nothing to commit."""
        self.tags: dict[str, list[str]] = {}
        self.candidate = Configuration.fresh()
        self.running = Configuration.fresh()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.commit_locks = 0
        self.failing_commits = 0

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON."""
        plain = {
            "tags": self.tags,
            "jobs": self.jobs,
            "locks": self.commit_locks,
            "failing": self.failing_commits,
        }
        copied: dict[str, Any] = deepcopy(
            {**plain, "candidate": self.candidate.dump(), "running": self.running.dump()}
        )
        return copied

    def load(self, world: Any) -> None:
        """Replace the state with what `dump` returned."""
        world = deepcopy(world)
        self.tags, self.jobs = world["tags"], world["jobs"]
        self.commit_locks, self.failing_commits = world["locks"], world["failing"]
        self.candidate, self.running = (
            Configuration.load(world["candidate"]),
            Configuration.load(world["running"]),
        )

    def in_force(self) -> dict[str, list[str]]:
        """Return the tagged addresses, and the networks of the running configuration's group."""
        self._advance(polled=None)
        blocked = sorted(address for address, tags in self.tags.items() if self.tag in tags)
        return {"addresses": blocked, "networks": self.running.networks()}

    def routes(self) -> Sequence[Route]:
        """Return the only endpoint."""
        return [Route("/api/", self.api, methods=["GET", "POST"])]

    async def api(self, request: Request) -> Response:
        """Check the key, then dispatch on `type`."""
        form = {
            **dict(request.query_params),
            **dict(parse_qsl((await request.body()).decode(), keep_blank_values=True)),
        }
        key = request.headers.get("x-pan-key") or form.get("key")
        if key not in {_READ_KEY, _WRITE_KEY}:
            return _xml(
                "<response status='error' code='403'>"
                "<result><msg>Invalid Credential</msg></result></response>",
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
                "<system><hostname>lab-fw</hostname><model>PA-VM</model>"
                "<sw-version>11.1.4</sw-version></system>"
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
        tags = self.tags.get(address, [])
        entry = _tag_entry(address, tags) if tags else ""
        return _success(f"{entry}<count>{1 if tags else 0}</count>")

    def _all_registered(self, query: ET.Element | None) -> Response:
        first = int((query.findtext("start-point") if query is not None else None) or 1) - 1
        limit = int((query.findtext("limit") if query is not None else None) or 500)
        tagged = [(address, tags) for address, tags in sorted(self.tags.items()) if tags]
        page = tagged[first : first + limit]
        entries = "".join(_tag_entry(address, tags) for address, tags in page)
        return _success(f"{entries}<count>{len(page)}</count>")

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
                f"<payload><register>{entries}</register></payload>"
                "</uid-response></line></msg></response>"
            )
        return _xml(
            '<response status="success"><result><uid-response><version>2.0</version>'
            "</uid-response></result></response>"
        )

    def _retag(self, request: Request, verb: str, address: str, tags: list[str]) -> list[str]:
        registered = self.tags.setdefault(address, [])
        if verb == "register":
            problems = [f"tag {tag} already exists, ignore" for tag in tags if tag in registered]
            changed = [tag for tag in tags if tag not in registered]
            registered.extend(changed)
        else:
            problems = [f"tag {tag} doesn't exist, ignore" for tag in tags if tag not in registered]
            changed = [tag for tag in tags if tag in registered]
            registered[:] = [tag for tag in registered if tag not in changed]
        if not registered:
            del self.tags[address]
        if changed:
            self.record_effect(request, verb, address)
        return problems

    def _config(self, request: Request, act: str, place: str, element: str) -> Response:
        names = _NAME.findall(place)[2:]  # after the device and the vsys
        if act in {"get", "show"}:
            found = (self.running if act == "show" else self.candidate).show(place, names)
            if found is None:
                # `show`, of the running configuration, fails; `get` succeeds with code 7.
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
            self.state_changed()
            return _error("13", "Configuration is locked for commit by admin bob")
        if any(job["status"] == "ACT" for job in self.jobs.values()):
            return _error("13", "Another commit/validate is in progress. Please try again later")
        if self.candidate.dump() == self.running.dump():
            return _xml(
                '<response status="success" code="19">'
                "<msg>There are no changes to commit.</msg></response>"
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
        """End each job after two status requests or one second."""
        for number, job in self.jobs.items():
            if job["status"] != "ACT":
                continue
            job["polls"] += number == polled
            if job["polls"] >= _JOB_POLLS or time.time() - job["started"] >= _JOB_SECONDS:
                job["status"] = "FIN"
                if not job["fails"]:
                    self.running = Configuration.load(deepcopy(job["config"]))
                self.state_changed()

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
            f"<job><id>{number}</id><type>Commit</type><status>{job['status']}</status>"
            f"<result>{result}</result><progress>{100 if done else 55}</progress>"
            f"<details><line>{details}</line></details></job>"
        )


def _tag_entry(address: str, tags: Sequence[str]) -> str:
    members = "".join(f"<member>{tag}</member>" for tag in tags)
    return f'<entry ip="{address}" from_agent="0" persistent="1"><tag>{members}</tag></entry>'


def _xml(body: str, status: int = 200) -> Response:
    return Response(body, status, media_type="application/xml")


def _success(result: str) -> Response:
    return _xml(f'<response status="success"><result>{result}</result></response>')


def _error(code: str | None, message: str) -> Response:
    attribute = f' code="{code}"' if code else ""
    return _xml(f'<response status="error"{attribute}><msg><line>{message}</line></msg></response>')
