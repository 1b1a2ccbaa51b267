"""Keeps a database in step with a tape: a projection is a pure function of the file.

It reads the tape like anyone else, also while the tape is being written, and falls behind without
harm to anyone. Where the database was begun earlier, the ledger is first brought to where that
ended; so a projection that was interrupted equals one made in a single go.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.backoffice.catalog import load_slugs
from engine.backoffice.ledger import Ledger
from engine.backoffice.store.port import Store
from engine.backoffice.store.sqlite import SqliteStore
from engine.tape.reader import TapeReader


class Projector:
    """One tape, one store."""

    def __init__(self, tape: Path, ledger: Ledger, store: Store) -> None:
        self._tape = tape
        self._ledger = ledger
        self._store = store
        self._projected = store.entries()  # what an earlier projector has done
        self._entries = 0  # what the ledger has seen

    @classmethod
    def to_sqlite(cls, tape: Path, database: Path) -> Projector:
        """Return the projector of a tape into a SQLite file. Raises TapeError, StoreError."""
        with TapeReader(tape) as reader:
            ledger = Ledger(reader.header, load_slugs(tape.parent))
            store = SqliteStore(database, reader.header, ledger.strategies, ledger.catalog)
        return cls(tape, ledger, store)

    def catch_up(self, progress: Callable[[int], None] | None = None) -> int:
        """Project what is on the tape by now; return the rows written.

        progress: called now and then with the number of entries done.  Raises StoreError; this
        projector is then spent, and a new one goes on where the database ended.
        """
        written = 0
        with TapeReader(self._tape) as tape:
            self._ledger.catalog.know_slugs(load_slugs(self._tape.parent))
            for piece in tape.slices(self._entries, self._projected):
                self._entries += len(piece.rows)
                self._ledger.apply(piece)
            for piece in tape.slices(self._entries):
                self._entries += len(piece.rows)
                written += self._store.write(self._ledger.apply(piece), self._entries)
                if progress is not None:
                    progress(self._entries)
        return written

    def close(self) -> None:
        """Close the store."""
        self._store.close()
