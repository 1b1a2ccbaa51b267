"""Answers from bytes: complete, in pieces, without an end, and nonsense."""

from __future__ import annotations

import pytest

from signer.http_parser import BODY_BYTES_MAX, HEAD_BYTES_MAX, HttpError, Response, ResponseParser

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;note=x\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: y\r\n\r\n"
)


@pytest.mark.parametrize(("text", "status"), [(SIZED, 200), (CHUNKED, 400)])
@pytest.mark.parametrize("piece", [1, 2, 7, 1_000])
def test_an_answer_is_whole_however_it_is_cut(text: bytes, status: int, piece: int) -> None:
    """Every cutting of the same bytes gives the same answer, at the last byte and not before."""
    parser = ResponseParser()
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    assert [parser.feed(data) for data in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert parser.feed(pieces[-1]) == Response(status, b"hello", True)


def test_interim_answers_are_skipped() -> None:
    """A 100 Continue before the answer is not the answer."""
    assert ResponseParser().feed(b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED) == Response(
        200, b"hello", True
    )


@pytest.mark.parametrize(
    "text",
    [
        SIZED.replace(b"Content-Type", b"Connection: close\r\nContent-Type"),
        SIZED.replace(b"HTTP/1.1", b"HTTP/1.0"),
        SIZED + b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_is_not_reused_after_close_or_extra_bytes(text: bytes) -> None:
    """`Connection: close`, HTTP/1.0 and bytes nobody asked for all end keep-alive."""
    assert ResponseParser().feed(text) == Response(200, b"hello", False)


def test_no_content_has_no_body() -> None:
    """204 ends with its head."""
    assert ResponseParser().feed(b"HTTP/1.1 204 No Content\r\n\r\n") == Response(204, b"", True)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """Only then: the end completes it, while a sized one that is cut short stays incomplete."""
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>") is None
    assert parser.finish() == Response(502, b"<html>", False)
    cut = ResponseParser()
    assert cut.feed(SIZED[:-1]) is None
    assert cut.finish() is None


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        b"x" * (HEAD_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_BYTES_MAX + 1),
    ],
)
def test_what_is_no_bounded_answer_is_an_error(text: bytes) -> None:
    """Nonsense and excess raise HttpError, and nothing else."""
    with pytest.raises(HttpError):
        ResponseParser().feed(text)
