"""When the core asks the feeds for snapshots: books that rows come for and that stay unbelieved.

A row that is refused means a book whose snapshot was lost, or damaged: it is asked for at once. A
market that stays without a usable book, whatever the reason, is asked for now and then, ever more
seldom: no market may stay shut for ever while everything is READY.
"""

from __future__ import annotations

ASK_NS_MIN = 1_000_000_000
PATIENCE_NS = 2_000_000_000  # how long a market may be without a book before it is asked for
ASK_NS_MAX = 60_000_000_000


class Snapshots:
    """Decides; the owner asks."""

    __slots__ = ("_asked_ns", "_pause_ns", "_refused", "_whole_ns")

    def __init__(self) -> None:
        self._refused = 0
        self._whole_ns = self._asked_ns = 0
        self._pause_ns = PATIENCE_NS

    def are_wanted(self, rows_refused: int, markets_without_book: int, now_ns: int) -> bool:
        """Return whether to ask now.

        rows_refused: so far, of the markets that trade.  markets_without_book: open ones.
        """
        is_refused, self._refused = rows_refused > self._refused, rows_refused
        if not markets_without_book or not self._whole_ns:
            self._whole_ns = now_ns
            self._pause_ns = PATIENCE_NS
        waited_ns = now_ns - max(self._whole_ns, self._asked_ns)
        if is_refused and now_ns - self._asked_ns >= ASK_NS_MIN:
            self._asked_ns = now_ns
            return True
        if markets_without_book and waited_ns >= self._pause_ns:
            self._asked_ns = now_ns
            self._pause_ns = min(2 * self._pause_ns, ASK_NS_MAX)
            return True
        return False
