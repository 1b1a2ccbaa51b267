"""`halftick exchange`: the local exchange on its own, for tests and other people's clients."""

from __future__ import annotations

import typer

from engine.exchange.__main__ import main

# The exchange is a process of its own with one definition of its options; they pass through.
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def exchange(context: typer.Context) -> None:
    """Run a local exchange that speaks the venue's protocol (see --help there)."""
    raise typer.Exit(main(context.args, "halftick exchange"))
