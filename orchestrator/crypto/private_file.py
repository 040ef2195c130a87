"""Files of secrets: mode 600, written completely or not at all, never overwritten."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from orchestrator.domain.errors import Invalid


def read_private(path: Path) -> bytes | None:
    """Return the content, None where the file does not exist.

    Raise Invalid where others than the owner may read or write it, and where it is not a regular
    file. A credential of systemd shows the owner's access as that of its group (an ACL), in a
    directory that no one else enters.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be read ({error.strerror}); let the user that runs Tocsin own it"
        ) from error
    try:
        _check(os.fstat(descriptor), path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def create_private(path: Path, content: bytes) -> bool:
    """Write a new file of mode 600. Return False, and change nothing, where it exists already.

    A temporary file is linked into place, so that another process reads the whole key or none, even
    after a crash. Raise Invalid where the folder is not writable.
    """
    return _place(path, content, mode=0o600)


def create_public(path: Path, content: bytes) -> bool:
    """Write a new file that everyone may read (mode 644), as `create_private`."""
    return _place(path, content, mode=0o644)


def replace_private(path: Path, content: bytes) -> None:
    """Replace a file by one of mode 600, completely or not at all.

    Raise Invalid as `create_private`.
    """
    _replace(path, content, mode=0o600)


def replace_public(path: Path, content: bytes) -> None:
    """Replace a file by one that everyone may read (mode 644), as `replace_private`."""
    _replace(path, content, mode=0o644)


def file_state(path: Path) -> tuple[int, int, int] | None:
    """Return what differs once another process has replaced a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def sync_folder(folder: Path) -> None:
    """Make a new or renamed entry of the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write_new(temporary, content, mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be written ({error.strerror}); "
            f"let the user that runs Tocsin write to {path.parent}"
        ) from error


def _check(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"{path}: is not a regular file; name the file that holds the key")
    if status.st_mode & (0o037 if _is_credential(path) else 0o077):
        raise Invalid(
            f"{path}: others may read or change it (mode {stat.S_IMODE(status.st_mode):03o}); "
            f"run: chmod 600 {path}"
        )


def _is_credential(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.absolute().parent == Path(str(folder)).absolute()


def _place(path: Path, content: bytes, *, mode: int) -> bool:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(temporary, content, mode)
        try:
            os.link(temporary, path)  # unlike rename, refuses to replace
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be created ({error.strerror}); "
            f"let the user that runs Tocsin write to {path.parent}"
        ) from error
    return True


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask says
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
