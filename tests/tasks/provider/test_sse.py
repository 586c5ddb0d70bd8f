"""The decoder returns the same events wherever the network splits the stream."""

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
def test_events_do_not_depend_on_chunk_sizes(size):
    """Line ends, comments and event boundaries may be split anywhere."""
    events = SSEDecoder()
    reads = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]

    assert [data for read in reads for data in events.feed(read)] == DATA


def test_an_event_is_returned_as_soon_as_it_is_complete():
    """A token must not wait for the next one."""
    events = SSEDecoder()

    assert events.feed(b"data: now\n\ndata: la") == [b"now"]
    assert events.feed(b"ter\n") == []
    assert events.feed(b"\n") == [b"later"]


def test_an_unfinished_event_is_not_returned():
    """The remainder of a cut stream must not be taken for data."""
    assert SSEDecoder().feed(b"data: cut off\n") == []


@pytest.mark.parametrize("size", [1, 1000])
def test_an_event_ended_by_carriage_returns_is_returned_immediately(size):
    """The last carriage return may be half a line end, but it may also be the end of the stream."""
    events, stream = SSEDecoder(), b"data: one\r\rdata: last\r\r"
    reads = [stream[start : start + size] for start in range(0, len(stream), size)]

    assert [data for read in reads for data in events.feed(read)] == [b"one", b"last"]


@pytest.mark.parametrize("read", [b"x" * 65_536, b"data: x\n" * 8_192], ids=["a line", "an event"])
def test_an_event_that_does_not_end_is_broken(read):
    """A provider must not fill the memory of the worker."""
    events = SSEDecoder()
    for _ in range(MAX_EVENT_BYTES // len(read)):
        events.feed(read)

    with pytest.raises(ProviderBroken):
        events.feed(read)


@pytest.mark.slow
def test_a_long_stream_of_short_events_is_not_limited():
    """The limit is for one event, not for the stream."""
    events, read = SSEDecoder(), b"data: x\n\n" * 100_000

    for _ in range(MAX_EVENT_BYTES // len(read) + 2):
        assert events.feed(read)


def test_a_name_of_an_event_marks_an_error():
    """Some gateways send an error that only its name tells from an answer."""
    assert SSEDecoder().feed(b'event: error\ndata: {"message": "boom"}\n\n') == [b'{"error":{"message": "boom"}}']
    assert SSEDecoder().feed(b"event: error\ndata: boom\n\ndata: x\n\n") == [b'{"error":"error"}', b"x"]


def test_empty_data_is_no_event():
    """Some servers send it to keep the connection alive."""
    assert SSEDecoder().feed(b"data:\n\ndata: x\n\n") == [b"x"]
