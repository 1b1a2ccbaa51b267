"""Bytes from outside: whatever comes, the parsers stay within their few outcomes."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from signer.http import Answer, Outcome
from signer.http_parser import HttpError, Response, ResponseParser
from signer.log_format import Entry, LogError, header, pack, scan
from signer.responses import Fate, classify_cancel, classify_look_up, classify_order

HASH = bytes(range(32))
fragments = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 ",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
    ]
)
streams = st.lists(fragments | st.binary(max_size=20), max_size=12).map(b"".join)


def parse(data: bytes, cuts: list[int]) -> Response | str | None:
    """Feed the bytes in pieces until there is an answer or an error."""
    parser = ResponseParser()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        try:
            response = parser.feed(data[start:end])
        except HttpError:
            return "error"
        if response is not None:
            return response
    return parser.finish()


@settings(max_examples=500)
@given(streams, st.lists(st.integers(0, 1_000), max_size=6))
def test_the_parser_answers_waits_or_refuses(data: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anywhere: an answer, more wanted, or HttpError; and status and body agree."""
    whole, cut = parse(data, []), parse(data, cuts)
    if isinstance(whole, Response) and isinstance(cut, Response):
        assert whole[:2] == cut[:2]


@settings(max_examples=500)
@given(
    st.integers(100, 599),
    st.binary(max_size=100)
    | st.sampled_from(
        [
            b'{"canceled":{},"not_canceled":[]}',
            b'{"canceled":[1,null],"not_canceled":{"0x":5}}',
            b'{"errorMsg":{"a":[]},"error":7}',
            b'{"orderID":5,"status":[],"makingAmount":{}}',
            b'{"id":[],"status":null,"size_matched":"x"}',
        ]
    ),
)
def test_any_answer_has_a_fate(status: int, body: bytes) -> None:
    """Classification never raises, and nothing but a good 200 is ever accepted."""
    answer = Answer(Outcome.ANSWERED, status, body, 1, 2)
    verdict = classify_order(answer, HASH)
    assert verdict.fate in (Fate.REFUSED, Fate.UNKNOWN)
    assert classify_look_up(answer, HASH).fate in (Fate.REFUSED, Fate.UNKNOWN)
    classify_cancel(answer)


entries = st.lists(
    st.builds(
        Entry,
        st.integers(1, 5),
        st.integers(0, 255),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**63 - 1),
        st.binary(min_size=32, max_size=32),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(-1, 2**62),
        st.binary(max_size=300),
    ),
    max_size=4,
)


@given(entries)
def test_a_log_reads_back_what_was_packed(written: list[Entry]) -> None:
    """pack and scan are inverse."""
    data = header() + b"".join(pack(n, entry) for n, entry in enumerate(written, 1))
    found = scan(data, "log")
    assert [placed.entry for placed in found.entries] == written
    assert (found.end, found.torn_bytes) == (len(data), 0)


@given(entries, st.integers(0, 10_000), st.integers(1, 255))
def test_damage_never_changes_an_entry(written: list[Entry], at: int, flip: int) -> None:
    """A changed byte shortens the log or refuses it; no entry is ever read as another."""
    data = bytearray(header() + b"".join(pack(n, entry) for n, entry in enumerate(written, 1)))
    data[at % len(data)] ^= flip
    try:
        found = scan(bytes(data), "log")
    except LogError:
        return
    got = [placed.entry for placed in found.entries]
    assert got == written[: len(got)]
