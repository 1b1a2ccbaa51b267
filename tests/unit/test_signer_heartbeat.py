"""The chain of heartbeats, and what a gap in it means."""

from __future__ import annotations

import orjson

from signer.admission import NEVER_NS
from signer.heartbeat import Heartbeat
from signer.http import Answer, AnswerHandler, Outcome

S = 1_000_000_000


class Rail:
    """Notes the ids it is to send, and answers when told."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.handlers: list[AnswerHandler] = []

    def send_heartbeat(self, heartbeat_id: str, handler: AnswerHandler) -> None:
        """One heartbeat."""
        self.ids.append(heartbeat_id)
        self.handlers.append(handler)

    def answer(self, at_ns: int, status: int = 200, body: bytes | None = None) -> None:
        """Answer the last one."""
        text = orjson.dumps({"heartbeat_id": f"id-{len(self.ids)}"}) if body is None else body
        self.handlers[-1](Answer(Outcome.ANSWERED, status, text, at_ns, at_ns + 1))


class Heart:
    """A heart on a rail, and how many gaps it told of."""

    def __init__(self, interval_ns: int = 5 * S) -> None:
        self.rail = Rail()
        self.told = 0
        self.beat = Heartbeat(self.rail, interval_ns, 10 * S, self._on_gap)  # type: ignore[arg-type]

    def _on_gap(self) -> None:
        self.told += 1

    def work(self, at_s: float, *, is_silent: bool = False) -> None:
        """One round at a moment."""
        self.beat.work(int(at_s * S), is_silent=is_silent)


def test_each_heartbeat_carries_the_id_of_the_last_answer() -> None:
    """The first is empty; one at a time, an interval apart."""
    heart = Heart()
    for at_s in (1, 2, 6, 7, 11):
        heart.work(at_s)
        if len(heart.rail.handlers) > heart.beat.accepted:
            heart.work(at_s)  # unanswered: no second one
            heart.rail.answer(at_s * S)
    assert heart.rail.ids == ["", "id-1", "id-2"]
    assert heart.told == 0


def test_a_wrong_id_is_corrected_at_once_and_only_once() -> None:
    """The venue says which one it expects; a second correction in a row waits."""
    heart = Heart()
    heart.work(1)
    wrong = b'{"error_msg":"Invalid Heartbeat ID","heartbeat_id":"expected"}'
    heart.rail.answer(1 * S, 400, wrong)
    heart.work(1.1)
    assert heart.rail.ids == ["", "expected"]
    heart.rail.answer(int(1.1 * S), 400, wrong)
    heart.work(1.2)
    assert len(heart.rail.ids) == 2
    heart.work(2.2)
    assert len(heart.rail.ids) == 3
    assert heart.beat.accepted == 0


def test_a_gap_is_told_once_and_ends_with_a_fresh_answer() -> None:
    """Ten seconds after the last accepted one was sent, nothing is certain any more."""
    heart = Heart()
    heart.work(1)
    heart.rail.answer(1 * S)
    assert heart.beat.alive_until_ns == 11 * S
    heart.work(6)
    heart.rail.answer(6 * S, 503, b"")
    heart.work(7)
    heart.rail.handlers[-1](Answer(Outcome.TIMEOUT, 0, b"", 7 * S, 9 * S))
    heart.work(11.5)
    heart.work(11.6)
    assert (heart.told, heart.beat.gaps, heart.beat.is_gap) == (1, 1, True)
    assert heart.beat.alive_until_ns == 0
    heart.rail.answer(12 * S)
    assert (heart.beat.is_gap, heart.beat.alive_until_ns) == (False, 22 * S)


def test_with_a_silent_core_the_heart_stands_still() -> None:
    """Then the venue cancels everything, and that is a gap like any other."""
    heart = Heart()
    heart.work(1)
    heart.rail.answer(1 * S)
    for at_s in range(2, 30):
        heart.work(at_s, is_silent=True)
    assert len(heart.rail.ids) == 1
    assert heart.told == 1
    heart.work(31)
    assert heart.rail.ids == ["", "id-1"]


def test_without_an_interval_nothing_is_ever_sent() -> None:
    """Heartbeats arm the venue's own cancel: they are opt-in."""
    heart = Heart(interval_ns=0)
    heart.work(1)
    assert heart.rail.ids == []
    assert heart.beat.alive_until_ns == NEVER_NS


def test_an_answer_without_an_id_does_not_count() -> None:
    """Nonsense is no heartbeat: it is tried again."""
    for body in (b"", b"[]", b'{"heartbeat_id":5}', b'{"heartbeat_id":"%b"}' % (b"x" * 200)):
        heart = Heart()
        heart.work(1)
        heart.rail.answer(1 * S, 200, body)
        assert heart.beat.accepted == 0
        heart.work(2.1)
        assert heart.rail.ids == ["", ""]
