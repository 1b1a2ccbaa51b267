"""The command `halftick`: one module a command, imported when it is called and not before.

How a module offers a command, by a function named in `COMMANDS`:
- a typer function: parameters with `typer.Option`/`typer.Argument`, its docstring is the help; it
  ends by returning (0) or by `raise typer.Exit(code)`;
- a function without parameters that returns a `typer.Typer`, for a command with commands of its
  own; its name ends with `_app`.
A module whose command parses its own arguments sets `PASS_THROUGH` to typer's context settings.

Exit codes: 0 clean, 1 dirty or failed, 2 usage, 78 refused to start. An operating error (HostError,
BusError, OSError) is printed on stderr, a line for each error, and never as a traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from engine.bus.shm import BusError
from engine.host.errors import Exit, HostError
from engine.host.proc import restrict_files

RUN, OPERATE, LOOK_BACK = "Run", "Operate", "Look back"
_PASS_THROUGH = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],  # --help is the command's own to answer
}


@dataclass(frozen=True, slots=True)
class Command:
    """A command's group, where it is (`module:function` below engine.cli), and what it is for."""

    panel: str
    path: str
    help: str


COMMANDS = {
    "demo": Command(RUN, "demo:demo", "Trade recorded real markets, watch it, get a report."),
    "run": Command(RUN, "run:run", "Run the daemon of a configuration until it is stopped."),
    "exchange": Command(
        RUN, "exchange:exchange", "Run a local exchange with the venue's protocol."
    ),
    "status": Command(OPERATE, "status:status", "Show a run: processes, halt, reachability."),
    "rings": Command(OPERATE, "rings:rings", "Show how full a run's rings are."),
    "top": Command(OPERATE, "top:top", "Watch a run's counters and rings move."),
    "halt": Command(OPERATE, "halt:halt", "Cancel everything and send no order until a resume."),
    "resume": Command(OPERATE, "halt:resume", "Clear a halt, with a reason."),
    "stop": Command(OPERATE, "stop:stop", "Stop a run in order."),
    "config": Command(OPERATE, "config:config_app", "Check or show a configuration."),
    "doctor": Command(OPERATE, "doctor:doctor", "Say what keeps an account from trading."),
    "keys": Command(OPERATE, "keys:keys_app", "Make and look after private keys."),
    "replay": Command(
        LOOK_BACK, "replay:replay", "Prove a tape: a fresh core says every byte again."
    ),
    "tape": Command(LOOK_BACK, "tape:tape_app", "Look into a tape, verify it, print it."),
    "trace": Command(LOOK_BACK, "trace:trace", "Show where slow orders' time went, and why."),
    "report": Command(LOOK_BACK, "report:report", "Make the report of a run from its tape."),
    "orderlog": Command(LOOK_BACK, "orderlog:orderlog_app", "Look into an order log, verify it."),
    "bench": Command(LOOK_BACK, "bench:bench_app", "Measure tick to trade on this machine."),
    "memo": Command(LOOK_BACK, "memo:memo", "Say what the numbers mean for Python and Rust."),
    "vectors": Command(
        LOOK_BACK, "vectors:vectors", "Check golden vectors against this implementation."
    ),
    "wire": Command(LOOK_BACK, "wire:wire_app", "Export the record layout as JSON, C or Rust."),
}


def main() -> None:
    """Run the command line and exit with its code."""
    restrict_files()  # whatever a command leaves behind says something of a trader
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code."""
    try:
        _application()(args=list(arguments), prog_name="halftick")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except (HostError, BusError) as error:
        for line in str(error).splitlines():
            print(f"halftick: {line}", file=sys.stderr)
        return int(error.exit_code) if isinstance(error, HostError) else int(Exit.DIRTY)
    except KeyboardInterrupt:
        return int(Exit.DIRTY)
    except BrokenPipeError:
        # Who read our output went away (`halftick tape dump | head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.CLEAN)
    except OSError as error:  # no room, no right, no descriptor: it says all there is to say
        what = f"{error.strerror or error}: file={error.filename or 'none'}"
        print(f"halftick: {what}", file=sys.stderr)
        return int(Exit.DIRTY)
    return int(Exit.CLEAN)


def _application() -> typer.Typer:
    """Return the top level: a stub for each command that hands its arguments on."""
    application = typer.Typer(
        help="A low-latency trading engine for Polymarket.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, command in COMMANDS.items():
        application.command(
            name, help=command.help, rich_help_panel=command.panel, context_settings=_PASS_THROUGH
        )(_stub)
    return application


def _stub(context: typer.Context) -> None:
    name = str(context.info_name)
    _load(name)(args=list(context.args), prog_name=f"halftick {name}")


def _load(name: str) -> typer.Typer:
    """Return the application of one command, importing its module now."""
    module_name, _, function_name = COMMANDS[name].path.partition(":")
    module = importlib.import_module(f"engine.cli.{module_name}")
    function = getattr(module, function_name)
    if function_name.endswith("_app"):
        application: typer.Typer = function()
        application.pretty_exceptions_enable = False
        return application
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    settings = getattr(module, "PASS_THROUGH", None)
    application.command(name, context_settings=settings)(function)
    return application


if __name__ == "__main__":
    main()
