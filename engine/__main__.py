"""The core process: `python -m engine RUNTIME_DIR [--fused --secrets-fd N …]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.core.params import from_settings
from engine.core.strategies.load import StrategyError
from engine.core_duty import COUNTERS, CoreDuty
from engine.host.duty import Duty, create_counters
from engine.host.errors import Exit, HostError
from engine.host.idle import Idle
from engine.host.runfile import RunFile
from engine.host.runner import run_duties
from engine.host.secrets import SealedKey

PROCESS = "core"


def main() -> int:
    """Run the core until it is told to stop; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    parser.add_argument("runtime_dir", type=Path)
    parser.add_argument("--fused", action="store_true", help="feeds and signer in this process too")
    parser.add_argument("--secrets-fd", type=int, help="descriptor to read the account from")
    parser.add_argument("--keystore", type=Path, help="live: the file to take the key from")
    parser.add_argument("--passphrase-fd", type=int, help="live: descriptor with its passphrase")
    arguments = parser.parse_args()
    try:
        runtime = RunFile.load(arguments.runtime_dir)
    except HostError as error:
        print(f"{PROCESS}: {error}", file=sys.stderr)
        return int(error.exit_code)
    counters = create_counters(runtime.counters(PROCESS), COUNTERS)
    params = from_settings(runtime.settings, run_seed=runtime.run_id)
    try:
        core = CoreDuty(runtime, params, counters)
    except StrategyError as error:
        print(f"{PROCESS}: {error}", file=sys.stderr)
        return int(Exit.REFUSED)
    duties: list[Duty] = [core]
    if arguments.fused:
        from engine.fused import around  # only this profile may join the three packages

        try:
            sealed = SealedKey.of(arguments.keystore, arguments.passphrase_fd)
            duties = around(core, runtime, arguments.secrets_fd, sealed)
        except HostError as error:
            print(f"{PROCESS}: {error}", file=sys.stderr)
            return int(error.exit_code)
    host = runtime.settings["host"]
    idle = Idle.for_profile(runtime.settings["run"]["profile"], park_us=host["park_us"])
    if host["park"] == "futex" and not arguments.fused:
        idle.nap = core.nap
    return run_duties(
        PROCESS,
        runtime,
        duties,
        counters=counters,
        idle=idle,
        uses_loop=arguments.fused,
        errors_are_fatal=True,
        chain=duties[duties.index(core) :],
    )


if __name__ == "__main__":
    sys.exit(main())
