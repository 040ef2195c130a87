"""`tocsin up` with a certificate of its own: commands, checks and metrics speak TLS to it."""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.harness.certificates import Authority, CertificateFiles
from tests.harness.stack import Stack, tocsin, until

pytestmark = pytest.mark.stack


class Served(NamedTuple):
    """A stack, its certificate, and who signed that."""

    stack: Stack
    files: CertificateFiles
    authority: Authority

    @property
    def url(self) -> str:
        return f"https://localhost:{self.stack.port}"

    @property
    def key(self) -> str:
        return (self.stack.folder / "admin.key").read_text().strip()

    def get(self, path: str) -> httpx.Response:
        context = ssl.create_default_context(cafile=self.authority.certificate)
        return httpx.get(f"{self.url}{path}", verify=context, timeout=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder, "corp")
    files = authority.issue("localhost", days=60, name="server")
    stack = Stack(
        folder / "data",
        TOCSIN_TLS_CERT=str(files.certificate),
        TOCSIN_TLS_KEY=str(files.key),
        TOCSIN_PUBLIC_URL="https://tocsin.corp.example",
    )
    stack.start()
    yield Served(stack, files, authority)
    stack.end()


def test_answers_over_tls_forbid_plain_http(served: Served) -> None:
    reply = served.get("/readyz")
    assert reply.json()["status"] == "ok"
    assert reply.headers["strict-transport-security"] == "max-age=31536000"
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://localhost:{served.stack.port}/readyz", timeout=20)


def test_commands_on_this_machine_know_the_certificate_by_its_file(served: Served) -> None:
    done = tocsin("me", "--data-dir", served.stack.folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_from_elsewhere_name_the_authority(served: Served, tmp_path: Path) -> None:
    given = {"TOCSIN_API_KEY": served.key}
    ca = served.authority.certificate
    assert tocsin("me", "--url", served.url, "--ca", ca, **given).returncode == 0
    assert tocsin("me", "--url", served.url, TOCSIN_CA=str(ca), **given).returncode == 0
    refused = tocsin("me", "--url", served.url, **given).stderr
    assert "signed by no authority that is trusted here" in refused
    assert "--ca or TOCSIN_CA" in refused
    by_address = f"https://127.0.0.1:{served.stack.port}"
    refused = tocsin("me", "--url", by_address, "--ca", ca, **given).stderr
    assert "the certificate is for another name" in refused
    empty = tmp_path / "empty.pem"
    empty.touch()
    refused = tocsin("me", "--url", served.url, "--ca", empty, **given).stderr
    assert f"{empty}: holds no certificates in PEM" in refused


def test_doctor_reports_days_left_and_another_name(served: Served) -> None:
    given = {
        "TOCSIN_TLS_CERT": str(served.files.certificate),
        "TOCSIN_TLS_KEY": str(served.files.key),
        "TOCSIN_PORT": str(served.stack.port),
    }

    def found(check: str, **more: str) -> list[tuple[str, str]]:
        done = tocsin("doctor", "--data-dir", served.stack.folder, "--json", **given, **more)
        return [(d["level"], d["text"]) for d in json.loads(done.stdout) if d["check"] == check]

    [(level, text)] = found("tls")
    assert level == "good"
    assert "days left, until" in text
    assert found("api")[0][0] == "good"
    level, text = found("tls", TOCSIN_PUBLIC_URL="https://tocsin.corp.example")[1]
    assert level == "wrong"
    assert "does not name tocsin.corp.example, the host of public_url" in text


def test_renewal_is_in_the_metrics_without_a_restart(served: Served) -> None:
    def days_left() -> float:
        text = served.get("/metrics").text
        line = next(
            each for each in text.splitlines() if each.startswith("tocsin_tls_certificate_seconds")
        )
        return float(line.rpartition(" ")[2]) / 86_400

    assert 59 < days_left() < 60
    fresh = served.authority.issue("localhost", days=90, name="fresh")
    shutil.copy(fresh.certificate, served.files.certificate)
    shutil.copy(fresh.key, served.files.key)
    until(lambda: days_left() > 89, 20, "the renewal")
    assert tocsin("me", "--data-dir", served.stack.folder).returncode == 0
