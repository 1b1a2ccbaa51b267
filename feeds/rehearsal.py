"""A dry run of the market feed: a made-up frame, from the socket's callback to a ring apart.

The same listener, line, decoder and jitted scanner as the feed's, on a registry and a ring of their
own: it keeps all a frame needs in the processor's caches, and nobody can see that it ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picows import WSFrame, WSMsgType

from engine.bus.apart import RUN_ID, ring_apart
from engine.bus.ring import BroadcastWriter, Discipline
from engine.wire.codes import Connection as State
from engine.wire.codes import FeeCurve, MarketStatus
from feeds.connection import Connection, FrameListener, Pace
from feeds.instruments import Instruments, Market
from feeds.market_intake import Intake
from feeds.market_lines import Lines
from feeds.port import Context, MalformedFrame, Session

_TOKENS = "1" * 77, "2" * 77


def _text() -> bytes:
    """Return a price_change of two tokens, as the venue spells it."""
    changes = ", ".join(
        f'{{"asset_id":"{token}", "price":"0.49", "size":"250", "side":"BUY", '
        f'"hash":"{"0" * 40}", "best_bid":"0.49", "best_ask":"0.52"}}'
        for token in _TOKENS
    )
    return (
        f'{{"market":"0x{"0" * 64}", "price_changes":[{changes}], '
        '"timestamp":"1700000000000", "event_type":"price_change"}'
    ).encode()


@dataclass(frozen=True, slots=True)
class Frame:
    """What the client's frame says of itself, and nothing else of it."""

    payload: memoryview
    payload_size: int
    msg_type: WSMsgType = WSMsgType.TEXT
    fin: int = 1
    last_in_buffer: int = 1

    def get_payload_as_memoryview(self) -> memoryview:
        """Return the text."""
        return self.payload


class Rehearsal:
    """A feed on which nobody depends: one line that is never dialled, and the frame it hears."""

    def __init__(self, context: Context, folder: Path) -> None:
        """folder: in memory, for a ring apart."""
        registry = Instruments()
        registry.add(small_market("rehearsal", bytes(32), _TOKENS))
        with ring_apart(folder, Discipline.BROADCAST) as path:
            self._ring = BroadcastWriter(path, RUN_ID)
        self._context = context
        self._intake = Intake(registry, self._ring, _raise)
        self.take, self.caught_up = self._intake.take, self._intake.caught_up
        self._lines = Lines(self, self._connect, rotate_ns=0)
        text = memoryview(_text())
        self._frame: Any = Frame(text, len(text))
        self._blank = WSFrame()

    def run(self) -> int:
        """Hot path. Hear the frame; return how many records it made."""
        before = self._intake.records
        _ask(self._blank)
        self._listener.on_ws_frame(None, self._frame)
        return self._intake.records - before

    def close(self) -> None:
        """Let go of the ring."""
        self._ring.close()

    def opening(self) -> list[bytes]:
        """Return nothing: there is nobody to say it to."""
        return []

    def status(self, connection: State) -> None:
        """Nobody wants to know."""

    def expects_data(self) -> bool:
        """Return False: silence is all there is."""
        return False

    def _connect(self, session: Session) -> Connection:
        context = self._context
        connection = Connection("rehearsal", "", Pace.of(context.settings), session, context)
        self._listener: Any = FrameListener(connection, session, context.clock.now_ns)
        return connection


def small_market(slug: str, condition_id: bytes, tokens: tuple[str, str]) -> Market:
    """Return an open market on a grid of cents, without fees: what a decoder needs to know."""
    return Market(
        slug=slug,
        condition_id=condition_id,
        tokens=tokens,
        outcomes=("Up", "Down"),
        generation=2,
        neg_risk=False,
        fee_curve=FeeCurve.V2,
        fee_rate_ppm=0,
        fee_exponent=1,
        tick=10_000,
        min_size_cents=500,
        open_s=0,
        close_s=0,
        status=MarketStatus.OPEN,
    )


def _ask(frame: WSFrame) -> tuple[object, ...]:
    """Ask a frame of the client's own what a listener asks: its answers are to come fast, too."""
    flags = frame.msg_type, frame.fin, frame.payload_size, frame.last_in_buffer
    return *flags, frame.get_payload_as_memoryview()


def _raise(_: bytes, error: MalformedFrame) -> None:
    raise error
