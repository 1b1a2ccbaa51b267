"""`python -m engine.exchange`: the local exchange."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop

from engine.exchange.exchange import Exchange
from engine.exchange.options import parse_options
from engine.host.errors import Exit, HostError
from engine.host.proc import die_with_parent, restrict_files


def main(arguments: Sequence[str], program: str = "python -m engine.exchange") -> int:
    """Run the exchange; return its exit code: 0 stopped, 2 usage, 78 refused to start."""
    options = parse_options(arguments, program)
    die_with_parent(0)
    restrict_files()
    try:
        uvloop.run(Exchange(options).serve())
    except HostError as error:
        sys.stderr.write(f"exchange: {error}\n")
        return error.exit_code
    return Exit.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
