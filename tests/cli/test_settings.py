"""Settings: their order of precedence, and errors that name the wrong one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings


def test_arguments_take_precedence_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tocsin.toml"
    file.write_text('host = "::1"\nport = 1111\nenvironment = "staging"\n')
    monkeypatch.setenv("TOCSIN_PORT", "2222")
    monkeypatch.setenv("TOCSIN_HOST", "0.0.0.0")
    settings = Settings.load(file, port=3333, host=None)
    assert (settings.port, settings.host, settings.environment) == (3333, "0.0.0.0", "staging")


def test_the_environment_can_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.toml").write_text("port = 1111")
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "t.toml"))
    assert Settings.load().port == 1111


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"port": 0}, "TOCSIN_PORT"),
        ({"database_url": "mysql://u:s3cret@h/d"}, "TOCSIN_DATABASE_URL"),
        ({"temporal_address": "nowhere"}, "TOCSIN_TEMPORAL_ADDRESS"),
        ({"environment": "test"}, "TOCSIN_ENVIRONMENT"),
        ({"lab_url": "ftp://x"}, "TOCSIN_LAB_URL"),
        ({"outbound_proxy": "socks5://u:s3cret@proxy.example"}, "TOCSIN_OUTBOUND_PROXY"),
        ({"no_proxy": ["*"]}, "TOCSIN_NO_PROXY"),
        ({"prot": 1}, "setting prot"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, object], named: str) -> None:
    with pytest.raises(Invalid, match=named) as refusal:
        Settings.load(**given)
    assert "s3cret" not in str(refusal.value)


def test_lists_are_separated_by_commas_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_NO_PROXY", "corp.example, 10.0.0.0/8")
    assert Settings.load().no_proxy == ("corp.example", "10.0.0.0/8")


def test_an_unknown_setting_in_the_file_is_refused_with_the_file_name(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("prot = 1")
    with pytest.raises(Invalid, match=r"t\.toml"):
        Settings.load(tmp_path / "t.toml")


def test_a_missing_or_broken_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot read it"):
        Settings.load(tmp_path / "none.toml")
    (tmp_path / "t.toml").write_text("port = = 1")
    with pytest.raises(Invalid, match="not TOML"):
        Settings.load(tmp_path / "t.toml")


def test_a_database_password_is_not_printed() -> None:
    settings = Settings.load(database_url="postgresql://u:s3cret@h/d")
    assert "s3cret" not in repr(settings)
    assert settings.store_url == "postgresql+asyncpg://u:s3cret@h/d"


async def test_new_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    rt = open_runtime(Settings.load(data_dir=tmp_path / "data"))
    await rt.close()
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "data", *(tmp_path / "data").iterdir()]
    }
    assert modes == {
        "data": 0o700,
        "encryption.key": 0o600,
        "audit.key": 0o600,
        "audit.pub": 0o644,
        "tocsin.db": 0o600,
    }


async def test_a_second_start_has_the_same_keys(tmp_path: Path) -> None:
    first, second = (open_runtime(Settings.load(data_dir=tmp_path)) for _ in range(2))
    assert second.secrets.open(first.secrets.seal(b"x", b"here"), b"here") == b"x"
    assert first.audit_key.id == second.audit_key.id
    for rt in (first, second):
        await rt.close()
