"""A release: a reproducible wheel, its bill of materials, licences, provenance and signature.

Usage (docs/releasing.md): `python scripts/release.py build FOLDER`, `sbom FILE`, `licences`,
`sign FOLDER KEY`, `verify FOLDER PUBLIC_KEY`.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from io import BytesIO
from pathlib import Path

from orchestrator.crypto.signing import load_public_key, load_signing_key

ROOT = Path(__file__).resolve().parent.parent
SUMS, SIGNATURE, PROVENANCE, SBOM = "SHA256SUMS", "SHA256SUMS.sig", "provenance.json", "sbom.json"

# A refused licence binds what is built with it; the LGPL does so for a part only, and is refused
# too, so that no one has to judge where the part ends.
REFUSED = re.compile(r"\b(A|L)?GPL|GNU|SSPL|BUSL|Commons Clause|non-?commercial", re.IGNORECASE)
KNOWN = re.compile(
    r"MIT|BSD|Apache|ISC|MPL|Mozilla|PSF|Python Software Foundation|0BSD|Unlicense|Zlib",
    re.IGNORECASE,
)


def main(arguments):
    """Run one command and return the exit code."""
    match arguments:
        case ["build", folder]:
            build(Path(folder))
        case ["sbom", file]:
            write_sbom(Path(file))
        case ["licences"]:
            return _print_licences()
        case ["sign", folder, key]:
            sign(Path(folder), Path(key))
        case ["verify", folder, key]:
            return _print_problems(verify(Path(folder), Path(key)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def build(folder):
    """Build the wheel of the commit twice, in two places, and write it with all about it."""
    first, second = build_wheel("HEAD"), build_wheel("HEAD")
    if first != second:
        message = "two builds of the commit differ; the wheel is not reproducible"
        raise SystemExit(message)
    assemble(folder, *first)


def assemble(folder, name, content):
    """Write a wheel with its bill of materials, its provenance and the sums of all."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    write_sbom(folder / SBOM)
    (folder / PROVENANCE).write_text(json.dumps(provenance(name, content), indent=2) + "\n")
    names = sorted(path.name for path in folder.iterdir() if path.name not in {SUMS, SIGNATURE})
    lines = (f"{_sha256((folder / each).read_bytes())}  {each}\n" for each in names)
    (folder / SUMS).write_text("".join(lines))


def build_wheel(commit):
    """Return name and bytes of the wheel of a commit, built in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, out = Path(scratch, "tree"), Path(scratch, "out")
        archive = _git("archive", "--format=tar", commit)
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(tree, filter="data")
        # Modes are a part of the wheel, and must not depend on who builds it.
        for path in tree.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        epoch = _git("log", "-1", "--format=%ct", commit).decode().strip()
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-build-isolation", "--wheel-dir", str(out), str(tree)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "PYTHONHASHSEED": "0"}
        subprocess.run(command, check=True, env=environment, umask=0o022, cwd=scratch)
        (wheel,) = out.iterdir()
        return wheel.name, wheel.read_bytes()


def write_sbom(file):
    """Write the CycloneDX bill of materials of what the runtime installs, with licences."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    command += ["--sv", "1.6", "--of", "JSON"]
    made = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)
    wanted, hashes = locked(), locked_hashes()
    declared = licences(wanted)
    kept = [each for each in made["components"] if _normal(each["name"]) in wanted]
    for each in kept:
        name = _normal(each["name"])
        each.setdefault("licenses", [{"license": {"name": declared[name]}}])
        each["hashes"] = [{"alg": "SHA-256", "content": content} for content in hashes[name]]
    refs = {each["bom-ref"] for each in kept} | {made["metadata"]["component"]["bom-ref"]}
    made["components"] = kept
    made["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", []) if ref in refs]}
        for each in made.get("dependencies", [])
        if each["ref"] in refs
    ]
    file.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n")


def provenance(name, content):
    """Return an in-toto statement of SLSA provenance: what was built, from what, and how."""
    commit = _git("rev-parse", "HEAD").decode().strip()
    moment = int(_git("log", "-1", "--format=%ct").decode())
    lock = _sha256((ROOT / "requirements.lock").read_bytes())
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": _sha256(content)}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:tocsin:wheel:1",
                "externalParameters": {"commit": commit},
                "internalParameters": {"python": sys.version.split()[0]},
                "resolvedDependencies": [
                    {"uri": "urn:tocsin:source", "digest": {"gitCommit": commit}},
                    {"uri": "urn:tocsin:requirements.lock", "digest": {"sha256": lock}},
                    {"uri": f"pkg:pypi/setuptools@{metadata.version('setuptools')}"},
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:tocsin:scripts/release.py"},
                "metadata": {"startedOn": datetime.fromtimestamp(moment, UTC).isoformat()},
            },
        },
    }


def licences(names):
    """Return the licence of each installed package, as it declares it."""
    found = {}
    for name in sorted(names):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:  # for another platform
            continue
        classes = [
            each.rpartition("::")[2].strip()
            for each in about.get_all("Classifier") or []
            if each.startswith("License ::")
        ]
        declared = about.get("License-Expression") or "; ".join(classes)
        named = declared or (about.get("License") or "").partition("\n")[0]
        found[name] = named or _title_of_licence(name)
    return found


def _title_of_licence(name):
    """Return the first line of the licence that a package ships but does not declare."""
    text = metadata.distribution(name).read_text("licenses/LICENSE") or ""
    return text.partition("\n")[0]


def refused_licences(found):
    """Return a sentence for each licence that is refused or not known."""
    return [
        f"{name}: {licence or 'declares no licence'}"
        for name, licence in found.items()
        if REFUSED.search(licence) or not KNOWN.search(licence)
    ]


def locked(lock="requirements.lock"):
    """Return the names of the packages in a lock file."""
    lines = (ROOT / lock).read_text().splitlines()
    return {_normal(line.partition("==")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)}


def locked_hashes(lock="requirements.lock"):
    """Return the hashes of the files that each package may be installed from."""
    found, name = {}, ""
    for line in (ROOT / lock).read_text().splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            name = _normal(line.partition("==")[0])
        elif content := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            found.setdefault(name, []).append(content[1])
    return found


def sign(folder, key):
    """Sign the sums of a release with an Ed25519 key in PEM (mode 600)."""
    signature = load_signing_key(key).sign((folder / SUMS).read_bytes())
    (folder / SIGNATURE).write_bytes(bytes.fromhex(signature))


def verify(folder, key):
    """Return what is wrong with a release."""
    sums = (folder / SUMS).read_bytes()
    signature = (folder / SIGNATURE).read_bytes().hex()
    if not load_public_key(key).verifies(signature, sums):
        return [f"{SIGNATURE}: is not the signature of {SUMS} by this key"]
    listed = dict(reversed(line.split("  ", 1)) for line in sums.decode().splitlines())
    there = {path.name for path in folder.iterdir()} - {SUMS, SIGNATURE}
    problems = [f"{name}: is not listed in {SUMS}" for name in sorted(there - set(listed))]
    for name, digest in listed.items():
        if name not in there:
            problems.append(f"{name}: is missing")
        elif _sha256((folder / name).read_bytes()) != digest:
            problems.append(f"{name}: was altered")
    return problems


def _print_licences():
    found = licences(locked())
    for name, licence in found.items():
        print(f"{name:32} {licence}")
    return _print_problems(refused_licences(found))


def _print_problems(problems):
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, cwd=ROOT).stdout


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


def _normal(name):
    return re.sub(r"[-_.]+", "-", name.split("[")[0].strip()).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
