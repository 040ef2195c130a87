"""`tocsin backup` and `tocsin restore`: one machine's backup becomes another machine's installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.api_server import ApiServer
from tests.harness.commands import tocsin


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    """Return a file with a passphrase."""
    (tmp_path / "passphrase").write_text("correct horse battery\n")
    return tmp_path / "passphrase"


def test_backup_of_a_running_api_is_restored_elsewhere(
    server: ApiServer, tmp_path: Path, passphrase: Path
) -> None:
    folder, data_dir = tmp_path / "backup", tmp_path / "data"
    here = ("--data-dir", server.settings.data_dir)
    protected = ("--with-keys", "--passphrase-file", passphrase)
    made = tocsin("backup", folder, *here, *protected)
    assert made.returncode == 0, made.stderr
    assert "keys.sealed, tocsin.db" in made.stdout
    there = ("--data-dir", data_dir, "--passphrase-file", passphrase)
    done = tocsin("restore", folder, *there)
    assert done.returncode == 0, done.stderr
    assert f"{data_dir}: restored from the backup of" in done.stdout
    assert "tocsin orphan list" in done.stdout
    again = tocsin("restore", folder, *there)
    assert again.returncode == 1
    assert "use --replace" in again.stderr
    moved = tocsin("restore", folder, *there, "--replace")
    assert f"before: {data_dir}.before-" in moved.stdout


def test_keys_are_never_backed_up_in_clear(
    server: ApiServer, tmp_path: Path, passphrase: Path
) -> None:
    here = ("--data-dir", server.settings.data_dir)
    for options in (("--with-keys",), ("--passphrase-file", passphrase)):
        refused = tocsin("backup", tmp_path / "backup", *here, *options)
        assert refused.returncode == 1
        assert "belong together" in refused.stderr
    assert not (tmp_path / "backup").exists()
