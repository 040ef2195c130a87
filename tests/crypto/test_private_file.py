"""Secrets on disk are private, complete, and never overwritten."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.crypto.private_file import create_private, create_public, read_private
from orchestrator.domain.errors import Invalid


def test_new_file_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert create_private(tmp_path / "deep" / "key", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "key").stat().st_mode) == 0o600
    assert read_private(tmp_path / "deep" / "key") == b"x"


def test_public_file_is_readable_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert create_public(tmp_path / "key.pub", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pub").stat().st_mode) == 0o644


def test_existing_file_is_not_overwritten_and_no_temporary_file_stays(
    tmp_path: Path,
) -> None:
    assert create_private(tmp_path / "key", b"first")
    assert not create_private(tmp_path / "key", b"second")
    assert read_private(tmp_path / "key") == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_concurrent_creation_has_one_winner_and_all_read_its_content(tmp_path: Path) -> None:
    def race(index: int) -> bytes | None:
        create_private(tmp_path / "key", str(index).encode() * 1000)
        return read_private(tmp_path / "key")

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(race, range(1, 33)))
    assert len(seen) == 1
    assert len(seen.pop() or b"") in {1000, 2000}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_file_open_to_others_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    create_private(tmp_path / "key", b"x")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(Invalid, match=rf"mode {mode:o}.*chmod 600 .*key"):
        read_private(tmp_path / "key")


def test_missing_file_is_none_and_a_folder_or_a_pipe_is_refused(tmp_path: Path) -> None:
    assert read_private(tmp_path / "none") is None
    os.mkfifo(tmp_path / "pipe", 0o600)
    for odd in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(Invalid, match="not a regular file"):
            read_private(odd)


def test_dangling_link_is_not_followed_on_creation(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    assert not create_private(tmp_path / "key", b"x")
    assert not (tmp_path / "elsewhere").exists()


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Invalid, match="cannot be created"):
        create_private(tmp_path / "file" / "key", b"x")


def test_credential_of_systemd_may_show_the_access_of_its_owner_as_that_of_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "identity").write_bytes(b"x")
    (folder / "identity").chmod(0o440)
    with pytest.raises(Invalid, match="others may read"):
        read_private(folder / "identity")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert read_private(folder / "identity") == b"x"
    (folder / "identity").chmod(0o444)
    with pytest.raises(Invalid, match="others may read"):
        read_private(folder / "identity")
