"""Set-up of a clone: a virtual environment with exactly the locked packages.

Usage: `python3 scripts/setup.py runtime|dev`. The script parses on any Python 3, so that an old
version gets a message and not a syntax error.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}


def main(group):
    """Set up for `group`, and return the exit code."""
    if sys.version_info < OLDEST:
        return _fail(
            "Tocsin needs Python %d.%d or newer; this is %s. Try: make PYTHON=python3.12 ..."
            % (*OLDEST, sys.version.split()[0])
        )
    if group not in LOCKS:
        return _fail("usage: setup.py runtime|dev")
    turn = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)  # two `make` at once take turns
    if _done(group):
        return 0
    began = time.monotonic()
    try:
        _install(group)
    except subprocess.CalledProcessError as error:
        return _fail(
            "set-up stopped: %s exited with %d; see its output above, then run the command again"
            % (error.cmd[0], error.returncode)
        )
    _say("ready after %.0f s" % (time.monotonic() - began))
    return 0


def _install(group):
    if not _usable(PYTHON):
        _say("making .venv with Python %s" % sys.version.split()[0])
        shutil.rmtree(VENV, ignore_errors=True)  # a half-made one
        _run(
            sys.executable,
            "-m",
            "venv",
            str(VENV),
            mend="on Debian and Ubuntu: apt install python3-venv",
        )
    for stale in LOCKS:
        _stamp(stale).unlink(missing_ok=True)
    _say("installing the packages of %s (each is checked against its hash)" % LOCKS[group])
    _pip("--require-hashes", "-r", str(ROOT / LOCKS[group]))
    _say("installing tocsin itself")
    _pip("--no-deps", "--no-build-isolation", "--quiet", "-e", str(ROOT))
    for satisfied in ("runtime", group):  # what `dev` installs holds all that `runtime` does
        _stamp(satisfied).write_text(_fingerprint(satisfied))


def _pip(*arguments):
    _run(
        str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments
    )


def _run(*command, mend=None):
    try:
        subprocess.run(command, check=True, cwd=ROOT)
    except subprocess.CalledProcessError:
        if mend:
            _say(mend)
        raise


def _done(group):
    stamp = _stamp(group)
    return (
        stamp.exists()
        and stamp.read_text() == _fingerprint(group)
        and (VENV / "bin" / "tocsin").exists()
    )


def _fingerprint(group):
    """Return a digest of everything that the environment is made from, and of its place."""
    parts = [
        str(ROOT).encode(),
        (ROOT / LOCKS[group]).read_bytes(),
        (ROOT / "pyproject.toml").read_bytes(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _usable(python):
    probe = "import sys, pip; sys.exit(sys.version_info < (%d, %d))" % OLDEST
    try:
        return (
            subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode
            == 0
        )
    except OSError:
        return False


def _stamp(group):
    return VENV / (".set-up-" + group)


def _say(text):
    print("set-up: " + text, flush=True)


def _fail(text):
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
