"""Contexts and the choice of an installation: what is saved, who can read it, which one is used."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from orchestrator.cli.connect import find_endpoint
from orchestrator.cli.contexts import (
    Contexts,
    SavedContext,
    contexts_file,
    load_contexts,
    save_contexts,
)
from orchestrator.cli.stack.ports import Listening, save_listening
from orchestrator.domain.errors import Invalid, NotFound
from tests.harness.api_server import ApiServer
from tests.harness.commands import tocsin

URL = "https://tocsin.example"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOCSIN_API_KEY", raising=False)
    monkeypatch.delenv("TOCSIN_DATA_DIR", raising=False)
    monkeypatch.delenv("TOCSIN_URL", raising=False)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """What `tocsin up` leaves in a data directory, as far as commands look at it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "admin.key").write_text("tocsin_admin\n")
    save_listening(folder, Listening(pid=1, host="0.0.0.0", api=8080))
    return folder


def _save(name: str = "prod", url: str = URL, key: str = "tocsin_saved") -> None:
    save_contexts(load_contexts().with_context(name, SavedContext(url, key)))


def test_login_checks_the_key_and_saves_it_readable_by_its_owner_only(server: ApiServer) -> None:
    done = tocsin("login", server.url, "--name", "here", stdin=f"{server.key}\n")
    assert done.returncode == 0, done.stderr
    assert "as admin; context here" in done.stdout
    assert server.key not in done.stdout + done.stderr
    assert stat.S_IMODE(contexts_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(contexts_file().parent.stat().st_mode) == 0o700
    assert tocsin("source", "list").returncode == 0
    shown = json.loads(tocsin("context", "show", "--json").stdout)
    assert (shown["url"], shown["person"], shown["current"]) == (server.url, "admin", True)
    assert "kill_switch:lift" in shown["permissions"]


def test_login_with_a_key_that_the_api_does_not_accept_saves_nothing(server: ApiServer) -> None:
    refused = tocsin("login", server.url, stdin="tocsin_0123456789abcdef_00\n")
    assert refused.returncode == 1
    assert "the API does not accept this key" in refused.stderr
    assert not contexts_file().exists()


def test_login_with_a_key_that_may_not_read_saves_it(server: ApiServer) -> None:
    here = ("--json", "--data-dir", server.settings.data_dir)
    assert tocsin("person", "add", "eve", *here).returncode == 0
    narrow = ("--role", "admin", "--scope", "kill_switch:lift")
    made = json.loads(tocsin("key", "create", "eve", *narrow, *here).stdout)
    received = tocsin("key", "enrol", made["enrolment_code"], "--url", server.url, "--json")
    key = json.loads(received.stdout)["token"]
    assert tocsin("login", server.url, stdin=key).returncode == 0


@pytest.mark.parametrize(
    ("url", "problem"),
    [("http://tocsin.example", "sent in the clear"), ("tocsin.example", "write it like https://")],
)
def test_login_refuses_a_url_that_would_expose_the_key(url: str, problem: str) -> None:
    refused = tocsin("login", url, stdin="tocsin_key\n")
    assert refused.returncode == 1
    assert problem in refused.stderr


def test_login_without_a_key_says_how_to_give_one(server: ApiServer) -> None:
    refused = tocsin("login", server.url)
    assert refused.returncode == 1
    assert "no key given" in refused.stderr


def test_contexts_are_listed_chosen_and_removed_without_their_keys() -> None:
    _save("staging", "https://staging.example")
    _save()
    listed = json.loads(tocsin("context", "list", "--json").stdout)
    assert listed == [
        {"name": "staging", "url": "https://staging.example", "current": False},
        {"name": "prod", "url": URL, "current": True},
    ]
    assert tocsin("context", "use", "staging").returncode == 0
    assert load_contexts().current == "staging"
    assert tocsin("context", "remove", "staging").returncode == 0
    assert load_contexts() == Contexts({"prod": SavedContext(URL, "tocsin_saved")}, None)
    assert "saved contexts: prod" in tocsin("context", "use", "other").stderr


def test_a_file_that_others_can_read_is_refused_with_the_fix() -> None:
    _save()
    contexts_file().chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        load_contexts()


@pytest.mark.parametrize("text", ["[contexts.x]\nurl = 1", "contexts = 3", "= ="])
def test_a_damaged_file_is_named(text: str) -> None:
    _save()
    contexts_file().write_text(text)
    with pytest.raises(Invalid, match=r"contexts\.toml"):
        load_contexts()


def test_a_key_is_not_part_of_a_representation() -> None:
    assert "tocsin_saved" not in repr(SavedContext(URL, "tocsin_saved"))


def test_a_named_url_comes_first_and_takes_the_key_of_the_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save()
    monkeypatch.setenv("TOCSIN_API_KEY", "tocsin_env")
    assert find_endpoint("https://other.example/", "prod", data_dir)[:2] == (
        "https://other.example",
        "tocsin_env",
    )


def test_a_url_takes_the_key_of_a_named_data_directory_but_not_of_one_in_the_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_endpoint(URL, None, data_dir).key == "tocsin_admin"
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(data_dir))
    with pytest.raises(NotFound, match="TOCSIN_API_KEY"):
        find_endpoint(URL, None, None)


def test_a_url_that_is_saved_takes_its_key() -> None:
    _save()
    assert find_endpoint(f"{URL}/", None, None).key == "tocsin_saved"


def test_a_named_context_comes_before_a_data_directory_and_that_before_the_current_context(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save()
    assert find_endpoint(None, "prod", data_dir)[:2] == (URL, "tocsin_saved")
    local = ("http://127.0.0.1:8080", "tocsin_admin")
    assert find_endpoint(None, None, data_dir)[:2] == local
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(data_dir))
    assert find_endpoint(None, None, None)[:2] == local
    monkeypatch.delenv("TOCSIN_DATA_DIR")
    assert find_endpoint(None, None, None)[:2] == (URL, "tocsin_saved")


def test_the_data_directory_of_the_current_folder_comes_last(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir.rename("tocsin-data")
    assert find_endpoint(None, None, None).key == "tocsin_admin"
    _save()
    assert find_endpoint(None, None, None).key == "tocsin_saved"


def test_without_an_installation_a_command_says_what_to_do_and_creates_nothing(
    tmp_path: Path,
) -> None:
    refused = tocsin("source", "list")
    assert refused.returncode == 1
    assert "no Tocsin here" in refused.stderr
    for fix in ("--data-dir", "TOCSIN_DATA_DIR", "tocsin login"):
        assert fix in refused.stderr
    assert not list(Path().iterdir())
    missing = tmp_path / "missing"
    refused = tocsin("source", "list", "--data-dir", missing)
    assert refused.returncode == 1
    assert f"no Tocsin here: {missing} does not exist" in refused.stderr
    assert not missing.exists()


def test_a_data_directory_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    refused = tocsin("source", "list", "--data-dir", tmp_path)
    assert refused.returncode == 1
    assert "no stack was started here" in refused.stderr


def test_url_and_key_of_the_environment_are_those_of_the_curl_examples(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOCSIN_URL", "https://tocsin.example/")
    monkeypatch.setenv("TOCSIN_API_KEY", "tocsin_env")
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path))
    assert find_endpoint(None, None, None)[:2] == ("https://tocsin.example", "tocsin_env")
    monkeypatch.delenv("TOCSIN_API_KEY")
    with pytest.raises(NotFound, match="put an API key into TOCSIN_API_KEY"):
        find_endpoint(None, None, None)
    monkeypatch.setenv("TOCSIN_URL", "tocsin.example")
    with pytest.raises(Invalid, match=r"TOCSIN_URL tocsin\.example: write it like https"):
        find_endpoint(None, None, None)
