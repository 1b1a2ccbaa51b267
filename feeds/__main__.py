"""The process of one feed group: `python -m feeds GROUP RUNTIME_DIR [--secrets-fd N]`.

With secrets it holds the API's, which can read the account and cancel: then no debugger of the same
user can read it and it leaves no core file, like the signer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.bus.shm import BusError
from engine.host import proc
from engine.host.duty import create_counters
from engine.host.errors import Exit, HostError
from engine.host.idle import Idle
from engine.host.runfile import RunFile
from engine.host.runner import run_duties
from engine.host.secrets import read_secrets
from feeds.group import COUNTERS, build_group, feeds_of


def main(arguments: Sequence[str]) -> int:
    """Run a group until it is told to stop; return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m feeds", description="Run one feed group.")
    parser.add_argument("group", help="a table of [feeds] in the configuration")
    parser.add_argument("runtime_dir", type=Path, help="the run's directory, with run.json")
    parser.add_argument("--secrets-fd", type=int, help="inherited descriptor with the account")
    options = parser.parse_args(arguments)
    process = f"feeds.{options.group}"
    if options.secrets_fd is not None:
        proc.hide_memory()
    try:
        runtime = RunFile.load(options.runtime_dir)
        given = options.secrets_fd is not None
        secrets = read_secrets(options.secrets_fd).without_key() if given else None
        feeds_of(options.group, runtime, secrets)
        counters = create_counters(runtime.counters(process), COUNTERS)
        duties = build_group(options.group, runtime, secrets, counters)
    except HostError as error:
        print(f"{process}: {error}", file=sys.stderr)
        return int(error.exit_code)
    except (BusError, OSError) as error:
        print(f"{process}: {error}", file=sys.stderr)
        return int(Exit.REFUSED)
    idle = Idle.for_profile(
        runtime.settings["run"]["profile"],
        park_us=runtime.settings["host"]["park_us"],
        waits_on_sockets=True,
    )
    return run_duties(process, runtime, duties, counters=counters, idle=idle, uses_loop=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
