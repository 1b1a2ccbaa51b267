"""One run a wallet: limits, cash and positions are counted by one core, or they are wrong.

The lock is in the runtime root, so it holds among the runs of one user on one machine. Local
exchanges are worlds of their own: there the same address is another wallet at each.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from engine.host import locks
from engine.host.locks import FileLock
from engine.host.loopback import is_loopback


def claim_wallet(root: Path, funder: str, rest_url: str, run: str) -> FileLock:
    """Return the lock of a wallet at a venue; RefuseError names the wallet and the run that has it.

    root: the runtime root, which is there.  funder: the address that pays.
    """
    name = f"wallet-{funder.lower()}"
    if is_loopback(rest_url):
        name += f"-{urlsplit(rest_url).netloc.rpartition('@')[2]}"
    file = re.sub(r"[^a-z0-9.-]", "_", name.lower()) + ".lock"
    return locks.take_or_refuse(root / file, run, f"wallet={funder}")
