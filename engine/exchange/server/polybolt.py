"""PolyBolt: the venue's price socket for those with API keys.

```
{"op":"auth","rid","auth":{…}}                       → {"op":"authed","rid"}
{"op":"subscribe","rid","subscriptions":[{"channel","filter"}]}
                                                     → {"op":"subscribed","rid","channel"} each,
                                                       then a snapshot each
{"op":"unsubscribe",…} · {"op":"ping","rid"}         → unsubscribed · pong
what is wrong                                        → {"op":"error","rid","code","channel"?}
```
`price.crypto` is the spot price, `price.crypto.twap` its mean over 60 s; both exist for the symbols
that are simulated or relayed here, for others they stay silent. Source: feeds.md §4.
"""

from __future__ import annotations

import hmac
from typing import Any, NamedTuple

import orjson
from aiohttp import WSMsgType, web

from engine.exchange.accounts import Accounts
from engine.exchange.reference_prices import Observation, ReferencePrices
from engine.exchange.server.outbox import NewPasses, Outbox
from engine.exchange.texts import MICROS, decimal_text

FRAME_BYTES_MAX = 1 << 16
SUBSCRIPTIONS_MAX = 64
AUTH_ATTEMPTS_MAX = 8
SPOT, TWAP = "price.crypto", "price.crypto.twap"
SILENT_CHANNELS = frozenset(("price.equity", "price.equity.twap"))  # known, with nothing to say
WINDOW_S = 60
SOURCE = "chainlink"
BAD_CREDENTIALS = 4001


class Topic(NamedTuple):
    """What one subscription is about."""

    channel: str
    symbol: str


class Subscriber:
    """One client: his way out, his topics and how many frames each channel had."""

    __slots__ = ("attempts", "authed", "outbox", "sequences", "topics")

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.topics: dict[Topic, None] = {}
        self.sequences: dict[str, int] = {}
        self.authed = False
        self.attempts = 0

    def say(self, frame: dict[str, Any]) -> None:
        """Send a frame."""
        self.outbox.put(orjson.dumps(frame))

    def tell(self, channel: str, at_ms: int, payload: dict[str, Any], **more: Any) -> None:
        """Send an event of a channel, with the next sequence number."""
        sequence = self.sequences[channel] = self.sequences.get(channel, 0) + 1
        frame = {"v": 1, "channel": channel, "seq": sequence, "ts": at_ms, **more}
        self.say({**frame, "payload": payload})


class PolyBolt:
    """All clients of the price socket."""

    __slots__ = ("_accounts", "_prices", "_subscribers", "new_passes")

    def __init__(self, prices: ReferencePrices, accounts: Accounts) -> None:
        self._prices = prices
        self._accounts = accounts
        self._subscribers: dict[Subscriber, None] = {}
        self.new_passes: NewPasses | None = None
        prices.listen(self._observed)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until he leaves, or has failed to say who he is too often."""
        ws = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False, timeout=1.0)
        await ws.prepare(request)
        passes = self.new_passes(request) if self.new_passes is not None else None
        subscriber = Subscriber(Outbox(ws, passes))
        self._subscribers[subscriber] = None
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._receive(subscriber, message.data)
                if subscriber.attempts >= AUTH_ATTEMPTS_MAX:
                    await ws.close(code=BAD_CREDENTIALS, message=b"auth_attempts")
        finally:
            self._subscribers.pop(subscriber, None)
            await subscriber.outbox.close()
        return ws

    def _receive(self, subscriber: Subscriber, text: str) -> None:
        frame = _parse(text)
        rid = {"rid": frame["rid"]} if isinstance(frame.get("rid"), str) else {}
        operation = frame.get("op")
        if operation == "ping":
            subscriber.say({"op": "pong", **rid})
        elif operation == "auth":
            self._authenticate(subscriber, frame.get("auth"), rid)
        elif operation not in ("subscribe", "unsubscribe"):
            subscriber.say({"op": "error", **rid, "code": "bad_op"})
        elif not subscriber.authed:
            subscriber.say({"op": "error", **rid, "code": "auth_required"})
        else:
            entries = frame.get("subscriptions")
            for entry in entries if isinstance(entries, list) else [None]:
                self._change(subscriber, operation, entry, rid)

    def _authenticate(self, subscriber: Subscriber, auth: Any, rid: dict[str, str]) -> None:
        given = auth if isinstance(auth, dict) else {}
        key = self._accounts.key(str(given.get("apiKey", "")))
        words = f"{given.get('secret')}/{given.get('passphrase')}".encode("utf-8", "replace")
        if key is None or not hmac.compare_digest(words, f"{key.secret}/{key.passphrase}".encode()):
            subscriber.attempts += 1
            subscriber.say({"op": "error", **rid, "code": "auth_invalid"})
            return
        subscriber.authed = True
        subscriber.say({"op": "authed", **rid})

    def _change(
        self, subscriber: Subscriber, operation: str, entry: Any, rid: dict[str, str]
    ) -> None:
        channel = entry.get("channel") if isinstance(entry, dict) else None
        if channel not in (SPOT, TWAP, *SILENT_CHANNELS):
            named = {"channel": channel} if isinstance(channel, str) else {}
            subscriber.say({"op": "error", **rid, **named, "code": "bad_channel"})
            return
        topic = _topic(channel, entry.get("filter"))
        if topic is None:
            subscriber.say({"op": "error", **rid, "channel": channel, "code": "bad_filter"})
            return
        if operation == "unsubscribe":
            subscriber.topics.pop(topic, None)
            subscriber.say({"op": "unsubscribed", **rid, "channel": channel})
            return
        known = topic in subscriber.topics
        if not known and len(subscriber.topics) >= SUBSCRIPTIONS_MAX:
            subscriber.say({"op": "error", **rid, "channel": channel, "code": "sub_limit"})
            return
        subscriber.topics[topic] = None
        subscriber.say({"op": "subscribed", **rid, "channel": channel})
        if not known:
            self._send_snapshot(subscriber, topic)

    def _send_snapshot(self, subscriber: Subscriber, topic: Topic) -> None:
        if topic.channel == SPOT:
            points = self._prices.history(topic.symbol)
        elif topic.channel == TWAP:
            points = self._prices.means(topic.symbol, WINDOW_S)
        else:
            points = []
        payload = {**_head(topic), "data": [_point(point) for point in points]}
        at_ms = points[-1].at_ms if points else 0
        subscriber.tell(topic.channel, at_ms, payload, snapshot=True)

    def _observed(self, symbol: str, observation: Observation) -> None:
        for channel in (SPOT, TWAP):
            topic = Topic(channel, symbol)
            audience = [s for s in self._subscribers if topic in s.topics]
            if not audience:
                continue
            mean = self._prices.mean(symbol, WINDOW_S) if channel == TWAP else None
            payload = {**_head(topic), **_point(mean or observation)}
            for subscriber in audience:
                subscriber.tell(channel, observation.at_ms, payload)


def _topic(channel: str, wanted: Any) -> Topic | None:
    symbol = wanted.get("symbol") if isinstance(wanted, dict) else None
    if not isinstance(symbol, str) or not symbol or len(symbol) > 32:
        return None
    if channel.endswith(".twap") and wanted.get("window_seconds") != WINDOW_S:
        return None
    return Topic(channel, symbol.lower())


def _head(topic: Topic) -> dict[str, Any]:
    window = {"window_seconds": WINDOW_S} if topic.channel.endswith(".twap") else {}
    return {"symbol": topic.symbol, "source": SOURCE, **window}


def _point(observation: Observation) -> dict[str, Any]:
    return {
        "timestamp": observation.at_ms,
        "value": observation.value / MICROS,
        "full_accuracy_value": decimal_text(observation.value),
    }


def _parse(text: str) -> dict[str, Any]:
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return frame if isinstance(frame, dict) else {}
