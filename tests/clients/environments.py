"""Official clients in environments of their own, made once from lock files.

Their pins clash with ours and with each other's, so none of them is ever imported here: a test runs
a script of its own with `client_python(…)` and talks to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".venv-clients"
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install")


class NoEnvironment(Exception):
    """An environment could not be made; the message says what failed."""


def client_python(name: str, *also: str) -> Path:
    """Return the Python of an environment that holds exactly `<name>.lock`, made if need be.

    also: more lock files of this folder, by name; with them it is another environment. Processes
    may ask at once: one makes it, the others wait. Raises NoEnvironment.
    """
    folder = ENVIRONMENTS / "+".join((name, *also))
    python = folder / "bin" / "python"
    locks = [HERE / f"{lock}.lock" for lock in (name, *also)]
    wanted = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"{folder.name}.flock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        made = folder / ".installed"
        if not made.exists() or made.read_text() != wanted:
            options = [option for lock in locks for option in ("-r", str(lock))]
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            _run(str(python), *PIP, "--require-hashes", *options)
            made.write_text(wanted)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise NoEnvironment(f"{' '.join(command)}: exit {done.returncode}: {' '.join(last)}")
