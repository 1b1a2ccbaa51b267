"""The `fused` profile: feeds, core and signer in one process and one event loop.

Lowest latency on a single core, weakest isolation: the key lives beside the code that parses the
venue's frames. So it is for paper, or by explicit consent. The duties, rings and tape are the same
as in the other profiles; this is the only module that joins the three packages.
"""

from __future__ import annotations

from engine.host import proc
from engine.host.duty import Duty, create_counters
from engine.host.errors import RefuseError
from engine.host.runfile import RunFile
from engine.host.secrets import SealedKey, read_secrets
from feeds.group import COUNTERS as FEED_COUNTERS
from feeds.group import build_group
from signer import tally
from signer.__main__ import build_duty
from signer.opening import wallet_of


def around(
    core: Duty, runtime: RunFile, secrets_fd: int | None, sealed: SealedKey | None = None
) -> list[Duty]:
    """Return all duties of the run in the order data flows: feeds, core, signer.

    Each keeps its own counter file, as it has in a process of its own. sealed: live mode, where
    the key comes from. Raises RefuseError where no account was handed over.
    """
    if secrets_fd is None:
        raise RefuseError("the fused profile signs too: --secrets-fd is missing")
    proc.hide_memory()
    proc.restrict_files()
    account = read_secrets(secrets_fd)
    wallet = wallet_of(runtime, account, sealed)
    duties: list[Duty] = []
    for group in sorted(runtime.settings["feeds"]):
        counters = create_counters(runtime.counters(f"feeds.{group}"), FEED_COUNTERS)
        duties += build_group(group, runtime, account.without_key(), counters)
    signer_counters = create_counters(runtime.counters("signer"), tally.NAMES)
    return [*duties, core, build_duty(runtime, account, wallet, signer_counters)]
