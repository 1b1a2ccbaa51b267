"""The recorder process: `python -m engine.backoffice RUNTIME_DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.backoffice.metrics import MetricsDuty
from engine.backoffice.observer import ObserverDuty
from engine.backoffice.recorder import COUNTERS, RecorderDuty
from engine.host.duty import Duty, create_counters
from engine.host.errors import HostError
from engine.host.idle import Idle, Wait
from engine.host.runfile import RunFile
from engine.host.runner import run_duties

# Nobody waits for the recorder, and the ring holds seconds of records: it may sleep well.
PARK_US = 2_000


def main() -> int:
    """Record until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.backoffice", description=__doc__)
    parser.add_argument("runtime_dir", type=Path)
    arguments = parser.parse_args()
    try:
        runtime = RunFile.load(arguments.runtime_dir)
    except HostError as error:
        print(f"halftick recorder: {error}", file=sys.stderr)
        return error.exit_code
    counters = create_counters(runtime.counters("recorder"), COUNTERS)
    duties: list[Duty] = [RecorderDuty(runtime, counters), ObserverDuty(runtime)]
    port = int(runtime.settings["recorder"]["metrics_port"])
    if port:
        duties.append(MetricsDuty(runtime.runtime_dir, port))
    idle = Idle(Wait.PARK, park_us=PARK_US, patience_us=0)
    return run_duties("recorder", runtime, duties, counters=counters, idle=idle, uses_loop=False)


if __name__ == "__main__":
    sys.exit(main())
