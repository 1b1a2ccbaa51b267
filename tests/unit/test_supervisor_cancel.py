"""The supervisor's own cancel against venues that answer and venues that only seem to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cancel_venue import OPEN, Venue

from engine.cli.cancel import cancel_all
from engine.host.errors import HostError
from engine.host.secrets import Account, ApiCredentials
from engine.host.venue_cancel import NAMED_MAX, Attempt, VenueCancel

ACCOUNT = Account("0xaa", "0xaa", ApiCredentials("key", "c2VjcmV0", "pass"))


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A venue with three open orders that cancels as it should."""
    with Venue.serving() as venue:
        yield venue


def test_orders_named_and_gone_twice_are_evidence(venue: Venue) -> None:
    """One try is enough: every page was read, every order named, and the list is empty twice."""
    assert cancel_all(ACCOUNT, venue.url)() == Attempt(True)
    lists = [path for path in venue.asked if path.startswith("/data/orders")]
    assert lists[:2] == ["/data/orders", "/data/orders?next_cursor=2"]
    assert venue.asked[-2:] == ["/data/orders", "/data/orders"]


@pytest.mark.parametrize(
    "answer",
    [{"canceled": [], "not_canceled": {}}, {"canceled": list(OPEN), "not_canceled": {}}],
    ids=["none", "all, in vain"],
)
def test_a_200_is_no_evidence_while_orders_are_listed(venue: Venue, answer: Any) -> None:
    """Whatever it names: what is listed as open is open, and is told."""
    venue.does_cancel, venue.answer = False, answer
    shown = cancel_all(ACCOUNT, venue.url)()
    assert not shown.is_proven
    assert shown.open_ids == OPEN


@pytest.mark.parametrize("answer", [{"error": "later"}, {}, [], "OK", b"\xff", b"{", b"null"])
def test_another_thing_than_canceled_is_no_answer(venue: Venue, answer: Any) -> None:
    """An object without `canceled`, and what is no object."""
    venue.answer = answer
    with pytest.raises(HostError, match=r"no readable answer: DELETE /cancel-all"):
        cancel_all(ACCOUNT, venue.url)()


def test_orders_nobody_named_are_looked_up(venue: Venue) -> None:
    """The reply was lost, the orders are not listed any more: their own status is the evidence."""
    cancel = cancel_all(ACCOUNT, venue.url)
    venue.answer = {"error": "later"}
    with pytest.raises(HostError):
        cancel()
    venue.answer = {"canceled": [], "not_canceled": {}}
    venue.statuses["0x02"] = "LIVE"
    assert cancel() == Attempt(False, ("0x02",), "the venue does not say that they have ended")
    venue.statuses["0x02"] = "MATCHED"
    assert cancel() == Attempt(True)


def test_one_empty_list_is_not_believed(venue: Venue) -> None:
    """Orders that were there, are named by no answer, and come back in the list are open."""
    venue.does_cancel, venue.answer = False, {"canceled": list(OPEN), "not_canceled": {}}
    cancel = cancel_all(ACCOUNT, venue.url)
    with pytest.MonkeyPatch.context() as patch:
        pages = iter([False, False, True])  # two pages before, the first look after

        def page(cursor: str) -> Any:
            venue.hidden_lists = int(next(pages, False))
            return Venue.page(venue, cursor)

        patch.setattr(venue, "page", page)
        shown = cancel()
    assert not shown.is_proven
    assert shown.open_ids == OPEN


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_with_credentials(venue: Venue, status: int) -> None:
    """The other address hears nothing at all."""
    with Venue.serving() as elsewhere:
        venue.status, venue.location = status, f"{elsewhere.url}/cancel-all"
        with pytest.raises(HostError, match=f"was refused: .*status={status}"):
            cancel_all(ACCOUNT, venue.url)()
    assert elsewhere.asked == []


def test_it_is_tried_until_there_is_evidence(venue: Venue) -> None:
    """A venue that comes to its senses is believed then, within the time there is."""
    venue.answer = {"error": "later"}
    cancel = VenueCancel(cancel_all(ACCOUNT, venue.url), 30_000)
    assert not cancel.wait(0.5)
    venue.answer = None
    assert cancel.wait(10.0)
    assert cancel.last.is_proven


def test_time_is_over_at_last_and_what_is_left_is_told(venue: Venue) -> None:
    """A venue that never cancels: the last try names the orders, a bounded number of them."""
    venue.does_cancel = False
    venue.open = {f"0x{number:02x}" for number in range(30)}
    venue.page_size = 7
    cancel = VenueCancel(cancel_all(ACCOUNT, venue.url), 300)
    assert cancel.wait(20.0)
    assert len(cancel.last.open_ids) == 30
    assert str(cancel.last).endswith(f"and {30 - NAMED_MAX} more")


def test_a_venue_that_is_gone_is_named_without_a_credential() -> None:
    """The error has the URL and the kind of failure, and nothing of the account."""
    with pytest.raises(HostError) as caught:
        cancel_all(ACCOUNT, "http://127.0.0.1:1")()
    assert "http://127.0.0.1:1" in str(caught.value)
    for secret in ("c2VjcmV0", "pass"):
        assert secret not in str(caught.value)
