"""Who raises what in the host, and where it surfaces.

```
HostError            an operating error with one clear line for the operator; exit code 1
└─ RefuseError       the process must not start: bad config, second instance, live without keys; 78
   └─ ConfigError    every error of one configuration, one per line
```
`engine.host.runner` and `engine.cli.main` print the message on stderr and exit with `exit_code`.
System errors pass through unwrapped where nobody could add anything to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """What a process or a command tells its caller."""

    CLEAN = 0
    DIRTY = 1
    USAGE = 2
    REFUSED = 78


class HostError(Exception):
    """An operating error; the message is one line that names the thing and the value."""

    exit_code: Exit = Exit.DIRTY


class RefuseError(HostError):
    """Starting would be wrong; nothing was started."""

    exit_code = Exit.REFUSED


class ConfigError(RefuseError):
    """A configuration with one or more errors; `errors` has one line for each."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)
