"""A run whose account comes out of a keystore, as a live one's does: the test's child process.

`python marked_run.py SETTINGS_JSON KEYS_DIRECTORY NAME PASSPHRASE_FD` prints one line of JSON with
the process ids once everything is ready, and stops on SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from engine.cli.cancel import cancel_all
from engine.cli.keyring import Keyring
from engine.host import proc
from engine.host.config.schema import Settings
from engine.host.supervisor import Supervisor


def main(settings: str, keys: str, name: str, passphrase_fd: str) -> int:
    """Run until told to stop; return the exit code."""
    proc.hide_memory()
    proc.restrict_files()
    with Keyring(Path(keys)).opened(name, int(passphrase_fd)) as material:
        account = material.account()
    wanted = Settings.from_json(json.loads(Path(settings).read_text()))
    with Supervisor(wanted, account=account, cancel_all=cancel_all) as supervisor:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.request_stop())
        if supervisor.start():
            children = supervisor.fleet.children
            pids = {child.name: child.pid for child in children.values()}
            print(json.dumps({"supervisor": os.getpid(), **pids}), flush=True)
            while supervisor.is_running and not supervisor.is_stop_requested:
                supervisor.poll()
                time.sleep(0.02)
        supervisor.stop()
    return int(supervisor.exit_code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
