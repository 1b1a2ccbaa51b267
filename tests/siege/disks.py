"""Disks that hang or are full, with a halt in the middle."""

from __future__ import annotations

import errno
import shutil
import subprocess
import time
from pathlib import Path

from siege.stage import Stage

HANG_S = 2.0
SWITCH = "disk-hangs"
SMALL_MIB = 24
BALLAST = "ballast"
SHIM = Path(__file__).resolve().parents[1] / "integration" / "slow_disk.c"


def slow_disk_env(folder: Path) -> dict[str, str]:
    """Return what makes fdatasync wait while the switch file exists; RuntimeError without cc."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise RuntimeError("no C compiler: the round of the slow disk cannot be played")
    library = folder / "slow_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SHIM], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_DISK": str(folder / SWITCH)}


def slow(stage: Stage) -> None:
    """fdatasync hangs for two seconds, and the halt comes right then."""
    switch = stage.folder / SWITCH
    stage.pause(0.5, 2.0)
    switch.touch()
    stage.pause(0.0, 0.3)
    began_s = time.monotonic()
    stage.halt()
    time.sleep(max(0.0, HANG_S - (time.monotonic() - began_s)))
    switch.unlink()
    stage.pause(0.5, 1.0)


def full(stage: Stage) -> None:
    """The state directory's disk is full to the last byte when the halt comes."""
    stage.pause(0.5, 2.0)
    ballast = stage.state / BALLAST
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    stage.pause(0.5, 1.5)
    stage.halt()
    stage.pause(1.0, 2.0)
    ballast.unlink()
    stage.pause(0.5, 1.0)
    # What its order log could not take is not in it: the next start looks such orders up.
    stage.stop("full disk")


def mount_small(folder: Path) -> bool:
    """Make a folder a small disk in memory; return whether we may."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MIB}m,mode=0700", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    """Undo `mount_small`."""
    subprocess.run(["umount", "-l", str(folder)], capture_output=True)
