"""Our contracts, compiled once by the locked compiler, against the locked solady."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from clients.environments import ENVIRONMENTS, NoEnvironment

CONTRACTS = Path(__file__).resolve().parent / "contracts"
FOLDER = ENVIRONMENTS / "solidity"
NPM_CI = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")


def compiled() -> dict[str, dict[str, str]]:
    """Return each contract's creation `code` and what is `deployed`, in hex, by name.

    Raises NoEnvironment where there is no node, or the compiler cannot be installed.
    """
    sources = sorted(CONTRACTS.iterdir())
    wanted = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "solidity.flock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        made = FOLDER / f"{wanted}.json"
        if not made.exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            FOLDER.mkdir()
            for source in sources:
                shutil.copy(source, FOLDER)
            _run(*NPM_CI)
            made.write_text(_run("node", "compile.js", str(CONTRACTS)))
        found: dict[str, dict[str, str]] = json.loads(made.read_text())
    return found


def _run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise NoEnvironment(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
    if done.returncode:
        raise NoEnvironment(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
