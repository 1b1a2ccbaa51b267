"""The user channel: our orders and fills, onto the `private` queue, exactly once and never lost.

The stream tells quickly, `feeds.clob_private` tells surely; both share one memory of what was told.
A full queue makes records wait here, never vanish; when too much waits, the socket is dropped and
read back once there is room. The feed's status, with the time of the last complete read-back, is
told twice a second by the duty loop: a feed that stands still falls silent. It takes the way of all
records, so whatever it vouches for has arrived before it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engine.host.secrets import Account
from engine.wire.codes import Connection as State
from engine.wire.codes import Kind, Source
from engine.wire.records import new, words
from feeds.clob_private import Adopt, PrivateReader
from feeds.connection import Connection, Pace
from feeds.instruments import Instruments
from feeds.outbox import Outbox
from feeds.port import Context, MalformedFrame, Queue
from feeds.user_frames import News, UserDecoder

COUNTERS = (
    "user_frames",
    "user_malformed",
    "user_unreadable",
    "user_unknown_events",
    "user_connects",
    "user_connect_errors",
    "user_disconnects",
    "user_silences",
    "user_pings",
    "fills",
    "order_states",
    "duplicates",
    "foreign",
    "queue_full",
    "queue_waiting",
    "readbacks",
    "readbacks_incomplete",
    "readback_errors",
)
SIGN_OF_LIFE_NS = 500_000_000


class ClobUserFeed:
    """Listens to the account's stream and has it read back whenever that may have gaps."""

    name = "clob_user"

    def __init__(
        self,
        context: Context,
        instruments: Instruments,
        queue: Queue,
        account: Account,
        url: str,
        adopt: Adopt,
        core_waits: Callable[[], bool] = lambda: False,
    ) -> None:
        """account: its API credentials are enough.  url: of the user channel.  adopt, core_waits:
        as of a PrivateReader."""
        self._context = context
        self._instruments = instruments
        self._account = account
        self._outbox = Outbox(queue)
        self._decoder = UserDecoder(instruments, account)
        self._reader = PrivateReader(
            context,
            instruments,
            account,
            self._decoder,
            self._outbox,
            tell=self._tell,
            adopt=adopt,
            completed=self._tell_status,
            core_waits=core_waits,
        )
        self._connection = Connection(
            self.name, url, Pace.of(context.settings), self, context, counters="user_"
        )
        self._handled = 0
        self._told_ns = 0
        self._work_next: Callable[[], None] | None = None

    def on_arrival(self, work_next: Callable[[], None]) -> None:
        """Take what to call when fills and states were told: the core learns of them at once."""
        self._work_next = work_next

    def start(self) -> None:
        """Nothing yet: what the account did means something only once instruments are known."""

    def work(self) -> int:
        """Send what waits; return the records and frames handled since the last round."""
        self._connection.check()
        self._reader.check()
        if not self._connection.is_started and len(self._instruments):
            self._connection.start()
            self._reader.start()
        handled, self._handled = self._handled, 0
        if self._outbox.waiting:
            handled += self._outbox.flush()
            counters = self._context.counters
            counters.set(counters.index("queue_full"), self._outbox.times_full)
            counters.set(counters.index("queue_waiting"), self._outbox.waiting)
        elif (
            self._connection.is_started
            and self._context.clock.now_ns() - self._told_ns >= SIGN_OF_LIFE_NS
        ):
            self._tell_status()
        return handled

    def close(self) -> None:
        """Say goodbye to the venue; what still waits goes if there is room."""
        self._connection.close()
        self._reader.close()
        self._outbox.flush()

    def opening(self) -> list[bytes]:
        """Return the frame that names us; without a list of markets it means all of them."""
        api = self._account.api
        auth = {"apiKey": api.key, "secret": api.secret, "passphrase": api.passphrase}
        return [msgspec.json.encode({"type": "user", "auth": auth})]

    def frame(self, payload: bytes | memoryview, local_ns: int) -> bool:
        """Tell the news of one frame; one that cannot be read, or is not ours, is read back."""
        self._handled += 1
        self._context.count("user_frames")
        if self._outbox.is_congested:
            self._connection.drop("private queue is full")
            return False
        try:
            news = self._decoder.decode(bytes(payload), local_ns)
        except MalformedFrame as error:
            self._context.count("user_malformed")
            self._context.errors.record(self.name, error)
            self._reader.ask()
            return False
        if news.partless or news.foreign or news.unreadable:
            self._reader.ask()
        self._tell(news)
        return True

    def caught_up(self) -> None:
        """Let the next duties work, once for all frames that came together."""
        if self._work_next is not None:
            self._work_next()

    def status(self, connection: State) -> None:
        """Tell the core that the stream has changed; a new one is followed by reading back."""
        self._tell_status()
        if connection == State.CONNECTED:
            self._reader.ask()

    def repeat(self, *, to_new_core: bool) -> None:
        """Tell a new core whether our fills are seen; of this queue nothing is ever missed."""
        if to_new_core and self._connection.is_started:
            self._tell_status()

    def expects_data(self) -> bool:
        """Return False: an account that does nothing hears nothing, for hours."""
        return False

    def _tell_status(self) -> None:
        record = new(Kind.FEED_STATUS)
        record["source"] = record["feed"] = Source.CLOB_USER
        record["local_ns"] = self._told_ns = self._context.clock.now_ns()
        record["connection"] = self._connection.state
        record["connects"] = self._connection.connects
        record["errors"] = self._connection.errors
        record["read_back_ns"] = self._reader.read_back_ns
        self._outbox.put(words(record))

    def _tell(self, news: News) -> None:
        self._outbox.put(news.records())
        self._handled += len(news.rows)
        for name in ("fills", "order_states", "duplicates", "foreign"):
            self._context.count(name, getattr(news, name))
        self._context.count("user_unknown_events", news.unknown_events)
        self._context.count("user_unreadable", news.unreadable)
        for reason in news.reasons:
            self._context.errors.record(self.name, MalformedFrame(f"record refused: {reason}"))
