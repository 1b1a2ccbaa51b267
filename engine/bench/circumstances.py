"""What a bench tells `halftick memo` beside its latencies: limits, queues, CPU, the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from engine.backoffice.evidence import of_run
from engine.bench.limits import native_limits_us


def circumstances(directory: Path) -> dict[str, Any]:
    """Return what was seen of the run that `measure` made in `directory`, as JSON values."""
    run = of_run(directory / "run" / "tape.ht")
    return {
        "native_limits_us": native_limits_us(),
        "machine": machine(),
        "observed": run.observed,
        "depths": run.depths,
        "cpu": run.cpu,
    }


def machine() -> str:
    """Return what this machine is, and how busy, in one line."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # a machine that does not say is named by its kind
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {load}"
    )
