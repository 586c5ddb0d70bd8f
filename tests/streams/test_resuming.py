"""A stream can be cut anywhere and resumed on any API process without losing, repeating or changing a byte."""

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.streams.reading import event_types, final_text, messages, words
from tests.support.offline_model import directive, key

SEED = 20261121
LIVE, AFTER = 60, 40  # cuts during the run and after it


DEPLOYMENT = {"webs": 2, "workers": 1, "web_grace_seconds": "0.5"}


@dataclass(frozen=True)
class Cut:
    """A cut after ``at`` bytes: the API processes before and after it, and how the stream is resumed."""

    at: int
    read_on: int
    resumed_on: int
    how: str

    @classmethod
    def draw(cls, rng, most):
        return cls(rng.randrange(1, most), rng.randrange(2), rng.randrange(2), rng.choice(["header", "query"]))


@dataclass(frozen=True)
class Resumed:
    numbered: list
    prefix: bytes
    resumed_at: float

    @property
    def was_cut_within_an_event(self):
        return not self.prefix.endswith(b"\n\n")


def cut_and_resume(webs, job_id, cut):
    first = webs[cut.read_on].follow(job_id)
    prefix = first.read(cut.at)
    first.close()
    resumed_at = time.monotonic()
    second = webs[cut.resumed_on].follow(job_id, first.last_id, cut.how)
    second.read_to_end()
    second.close()
    assert second.ended == "cleanly"
    return Resumed(first.numbered + second.numbered, prefix, resumed_at)


def read_uncut(web, job_id):
    reader = web.follow(job_id)
    reader.read_to_end()
    ended_at = time.monotonic()
    reader.close()
    return reader.received, ended_at


def test_a_hundred_random_cuts_lose_and_repeat_nothing(deployment):
    """During the run and after it, on two API processes; uncut readers agree with one another."""
    rng, webs = random.Random(SEED), deployment.webs
    job_id = webs[0].submit(directive("tokens=250 interval=0.016", key()))
    with ThreadPoolExecutor(LIVE + 2) as pool:
        uncut = [pool.submit(read_uncut, web, job_id) for web in webs]
        cuts = [Cut.draw(rng, 10_000) for _ in range(LIVE)]
        resumed = [pool.submit(cut_and_resume, webs, job_id, cut) for cut in cuts]
        (whole, ended_at), (other, _) = (reader.result() for reader in uncut)
        cuts = [Cut.draw(rng, len(whole)) for _ in range(AFTER)]
        resumed += [pool.submit(cut_and_resume, webs, job_id, cut) for cut in cuts]
        rejoined = [future.result() for future in resumed]

    expected = [message for message in messages(whole) if message.id is not None]
    assert [message.id for message in expected] == [str(number) for number in range(len(expected))]
    assert [message for message in messages(other) if message.id is not None] == expected
    assert [reader.numbered == expected for reader in rejoined] == [True] * (LIVE + AFTER)
    assert sum(reader.was_cut_within_an_event for reader in rejoined) >= 50
    assert sum(reader.resumed_at < ended_at for reader in rejoined) >= LIVE // 2
    assert final_text(expected) == webs[1].chat(job_id)["answer"] == words(250)


def test_a_reader_survives_a_stop_and_a_kill_of_the_api(deployment):
    """A stopped process ends the stream without a final event, and the reader resumes anywhere."""
    stopped, killed = deployment.webs
    job_id = stopped.submit(directive("tokens=450 interval=0.02", key()))
    readers = [web.follow(job_id) for web in (stopped, killed)]
    for reader in readers:
        reader.read(1500)
    stopped.end(signal.SIGTERM)
    killed.end(signal.SIGKILL)
    for reader in readers:
        reader.read_to_end()
        reader.close()
    assert deployment.record(job_id).state == "in_progress"
    for web in (stopped, killed):
        web.restart()
    rests = [web.follow(job_id, reader.last_id) for web, reader in zip((killed, stopped), readers, strict=True)]
    for rest in rests:
        rest.read_to_end()
        rest.close()

    assert [reader.ended for reader in readers] == ["cleanly", "broken"]
    assert [event_types(reader.messages) for reader in readers] == [["in_progress"]] * 2
    received = [reader.numbered + rest.numbered for reader, rest in zip(readers, rests, strict=True)]
    assert received[0] == received[1]
    assert event_types(received[0]) == ["in_progress", "completed"]
    assert final_text(received[0]) == stopped.chat(job_id)["answer"] == words(450)


@pytest.mark.parametrize(
    "text", ["a\n\ndata: b\nid: 7\n\n", "a\r\rb\r\nc", "\x85\u2028\u2029 \ufeff", "🙂 a🙃 \x00\x1f"]
)
def test_no_text_breaks_out_of_its_event(deployment, text):
    """Line breaks of every kind, message ends and invalid text arrive unchanged."""
    web = deployment.webs[0]
    job_id = web.submit(directive(f'say="{text}"', key()))
    reader = web.follow(job_id)
    reader.read_to_end()
    reader.close()

    assert event_types(reader.messages) == ["in_progress", "completed"]
    assert [message.id for message in reader.numbered] == [str(number) for number in range(len(reader.numbered))]
    assert final_text(reader.numbered) == web.chat(job_id)["answer"] == text
    assert b"\r" not in reader.received
