"""The signer process: `python -m signer RUNTIME_DIR --secrets-fd N`.

In live mode also `--keystore FILE --passphrase-fd N`: it opens the keystore itself.

The only process that holds the private key. It cannot be read by a debugger, leaves no core file,
and its files are its owner's alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.bus.counters import CounterFile
from engine.host import proc
from engine.host.duty import create_counters
from engine.host.errors import HostError, RefuseError
from engine.host.idle import Idle
from engine.host.runfile import RunFile
from engine.host.runner import run_duties
from engine.host.secrets import Account, SealedKey, read_secrets
from signer import tally
from signer.duty import SignerDuty
from signer.opening import wallet_of
from signer.wallets import Wallet

PROCESS = "signer"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the signer until it is told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m signer", description="Sign and send orders.")
    parser.add_argument("runtime_dir", help="the run's runtime directory")
    parser.add_argument(
        "--secrets-fd", type=int, required=True, help="a descriptor to read the account from"
    )
    parser.add_argument("--keystore", type=Path, help="live: the file to take the key from")
    parser.add_argument(
        "--passphrase-fd", type=int, help="live: a descriptor to read its passphrase from"
    )
    chosen = parser.parse_args(arguments)
    proc.hide_memory()
    proc.restrict_files()
    is_locked = proc.lock_memory()  # a kernel that will not is shown, not fatal
    try:
        runtime = RunFile.load(chosen.runtime_dir)
        account = read_secrets(chosen.secrets_fd)
        sealed = SealedKey.of(chosen.keystore, chosen.passphrase_fd)
        wallet = wallet_of(runtime, account, sealed)
        counters = create_counters(runtime.counters(PROCESS), tally.NAMES)
        counters.set(tally.MEMORY_LOCKED, int(is_locked))
        duty = build_duty(runtime, account, wallet, counters)
    except HostError as error:
        print(f"halftick {PROCESS}: {error}", file=sys.stderr)
        return int(error.exit_code)
    host = runtime.settings["host"]
    idle = Idle.for_profile(runtime.settings["run"]["profile"], park_us=host["park_us"])
    return run_duties(PROCESS, runtime, [duty], counters=counters, idle=idle, uses_loop=True)


def build_duty(
    runtime: RunFile, account: Account, wallet: Wallet, counters: CounterFile
) -> SignerDuty:
    """Return the signer's duty; RefuseError when the account cannot sign. No secret is quoted."""
    try:
        return SignerDuty(runtime, account, wallet, counters)
    except ValueError as error:
        raise RefuseError(f"the account cannot sign: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
