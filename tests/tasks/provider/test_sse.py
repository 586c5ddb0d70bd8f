"""A stream's events come out the same however the network cuts its bytes."""

import pytest

from jobs.errors import ProviderBroken
from tasks.provider.limits import MAX_EVENT_BYTES
from tasks.provider.sse import SSEDecoder

STREAM = (
    b': a comment\r\nevent: x\r\ndata: {"a":1}\r\n\r\n'
    b"data: one\ndata:two\n\n\n\nid: 7\n\n"
    b"data: \xc3\xa4\r\rdata: last\n\n"
)
DATA = [b'{"a":1}', b"one\ntwo", b"\xc3\xa4", b"last"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 1000])
def test_events_are_the_same_for_every_cut(size):
    events = SSEDecoder()
    reads = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]

    assert [data for read in reads for data in events.feed(read)] == DATA


def test_an_event_is_handed_over_as_soon_as_it_is_whole():
    events = SSEDecoder()

    assert events.feed(b"data: now\n\ndata: la") == [b"now"]
    assert events.feed(b"ter\n") == []
    assert events.feed(b"\n") == [b"later"]


def test_what_is_not_ended_is_no_event():
    assert SSEDecoder().feed(b"data: cut off\n") == []


@pytest.mark.parametrize("size", [1, 1000])
def test_an_event_between_returns_alone_waits_for_nothing(size):
    """A return may be half a line end; the stream may also be over."""
    events, stream = SSEDecoder(), b"data: one\r\rdata: last\r\r"
    reads = [stream[start : start + size] for start in range(0, len(stream), size)]

    assert [data for read in reads for data in events.feed(read)] == [b"one", b"last"]


@pytest.mark.parametrize("read", [b"x" * 65_536, b"data: x\n" * 8_192], ids=["a line", "an event"])
def test_what_does_not_end_is_not_kept_for_ever(read):
    events = SSEDecoder()
    for _ in range(MAX_EVENT_BYTES // len(read)):
        events.feed(read)

    with pytest.raises(ProviderBroken):
        events.feed(read)


def test_a_long_stream_of_short_events_has_no_end():
    events, read = SSEDecoder(), b"data: x\n\n" * 100_000

    for _ in range(MAX_EVENT_BYTES // len(read) + 2):
        assert events.feed(read)
