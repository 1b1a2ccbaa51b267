"""Which tape a command means, and what its instruments are called."""

from __future__ import annotations

from pathlib import Path

from engine.backoffice.catalog import OUTCOMES, Catalog, load_slugs
from engine.backoffice.recorder import TAPE_FILE
from engine.host.errors import RefuseError
from engine.tape.reader import TapeReader
from engine.wire.codes import Kind
from engine.wire.records import typed


def tape_of(run: Path) -> Path:
    """Return the tape of a run's directory, or the file itself. RefuseError where there is none."""
    path = run / TAPE_FILE if run.is_dir() else run
    if not path.is_file():
        raise RefuseError(f"no tape is there: file={path}")
    return path


def instrument_names(tape: TapeReader) -> dict[int, str]:
    """Return what people call each instrument: its market's slug and its outcome."""
    catalog = Catalog(load_slugs(tape.path.parent))
    for piece in tape.slices():
        rows = piece.rows[(piece.rows[:, 0] & 0xFFFF) == Kind.INSTRUMENT]
        for record in typed(rows, Kind.INSTRUMENT):
            catalog.list_instrument(record)
    return {
        index: f"{catalog.slug(index)} {OUTCOMES[listing.outcome & 1]}"
        for index, listing in catalog.by_index.items()
    }
