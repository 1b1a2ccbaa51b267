"""What every process of a run needs to know, in one file of the runtime directory.

```
<runtime>/                tmpfs, 0700
  run.json                this file; never a secret in it
  lock                    flock of the supervisor: one instance a name
  <name>.ring             the rings
  <process>.counters      one a process, made by the process itself
  control.sock            the supervisor's ear (ZeroMQ REP)
<state>/                  survives the run
  tape.ht  orders.log  halftick.db  halt.json  log/*.jsonl
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine.host.clock import Clock
from engine.host.errors import RefuseError
from engine.host.files import write_whole

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class RunFile:
    """One run. settings: all resolved settings as JSON values (`Settings.from_json` types them).

    clock_offset_ns: what makes the monotonic clock an epoch clock.  supervisor_pid: whom the
    processes must not outlive, 0 = nobody.
    """

    run_id: int
    clock_offset_ns: int
    settings: dict[str, Any]
    state_dir: str
    supervisor_pid: int = 0
    runtime_dir: Path = field(default=Path(), compare=False)

    @classmethod
    def load(cls, runtime_dir: Path | str) -> RunFile:
        """Return the run of a runtime directory; RefuseError names the file and what is wrong."""
        path = Path(runtime_dir) / RUN_FILE
        try:
            content = msgspec.json.decode(path.read_bytes())
        except OSError as error:
            raise RefuseError(f"run file cannot be read: file={path}, {error.strerror}") from None
        except ValueError as error:  # not JSON, or not UTF-8
            raise RefuseError(f"run file is not JSON: file={path}, {error}") from None
        try:
            return msgspec.convert({**content, "runtime_dir": Path(runtime_dir)}, cls, strict=False)
        except (msgspec.ValidationError, TypeError) as error:
            raise RefuseError(f"run file is not complete: file={path}, {error}") from None

    def save(self, runtime_dir: Path | str | None = None) -> None:
        """Write the run file so that a reader sees all of it or none."""
        directory = Path(runtime_dir) if runtime_dir is not None else self.runtime_dir
        content = msgspec.to_builtins(self, enc_hook=str)
        del content["runtime_dir"]
        text = msgspec.json.format(msgspec.json.encode(content), indent=1)
        write_whole(directory / RUN_FILE, text)

    def clock(self) -> Clock:
        """Return the clock all processes of this run share."""
        return Clock(self.clock_offset_ns)

    def ring(self, name: str) -> Path:
        """Return where a ring lies."""
        return self.runtime_dir / f"{name}.ring"

    def counters(self, process: str) -> Path:
        """Return where a process keeps its counters."""
        return self.runtime_dir / f"{process}.counters"

    def state(self, name: str) -> Path:
        """Return where a file that outlives the run lies."""
        return Path(self.state_dir) / name

    def log(self, process: str) -> Path:
        """Return where a process writes its log, JSON lines."""
        return self.state("log") / f"{process}.jsonl"
