"""Requests that a client resends: each finds the job of its first try, and never the job of another call."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.kinds.response import ResponseAnswer
from jobs.results import Usage
from tests.support.waiting import until

USAGE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)
ANSWER = ResponseAnswer(text="an answer", model="m", finish_reason="stop", usage=USAGE)


def send(create_response, count=None, caller="Bearer a", **body):
    """Sends a call and discards its answer, as if it was lost in transit."""
    headers = {"Authorization": caller} | ({} if count is None else {"x-stainless-retry-count": str(count)})
    response = create_response(headers, buffered=False, **body)
    payload = json.loads(next(response.iter_encoded()))
    response.close()
    return payload["id"]


def test_a_resent_request_finds_the_job_of_its_first_try(create_response):
    """A retry of the openai client must not start a second job."""
    first = send(create_response, 0)

    assert send(create_response, 1) == send(create_response, 2) == first


def test_an_intended_repetition_is_another_job(create_response):
    """A retry finds the latest of them."""
    first, second = send(create_response, 0), send(create_response, 0)

    assert first != second
    assert send(create_response, 1) == second


def test_identical_calls_that_are_all_resent_find_one_job_each(create_response):
    """A call whose first try was lost gets a new job."""
    first_tries = {send(create_response, 0) for _ in range(3)}

    assert {send(create_response, 1) for _ in range(3)} == first_tries
    assert {send(create_response, 2) for _ in range(3)} == first_tries
    late = send(create_response, 1)
    assert late not in first_tries
    assert send(create_response, 2) == late


def test_a_resent_call_prefers_a_job_that_no_other_call_has_taken(create_response):
    """This holds even if its retry count is higher, because an earlier retry was lost."""
    first_tries = {send(create_response, 0), send(create_response, 0)}

    assert {send(create_response, 1), send(create_response, 2)} == first_tries


def test_a_retry_skips_a_cancelled_job(create_response, api_client):
    """It takes the other job of an identical call."""
    other, cancelled = send(create_response, 0), send(create_response, 0)
    api_client.post(f"/v1/responses/{cancelled}/cancel")

    assert send(create_response, 1) == other


def test_only_the_latest_identical_calls_are_remembered(create_response, redis_client_of_api):
    """The stored list stays small, however many identical calls there are."""
    for _ in range(40):
        send(create_response, 0)
    (remembered,) = redis_client_of_api.scan_iter("cq:resends:*")

    assert redis_client_of_api.llen(remembered) == 32
    assert 0 < redis_client_of_api.ttl(remembered) <= 1_800


def test_a_retry_never_gets_an_answer_that_was_delivered_to_another_call(create_response, api_client):
    """An identical call whose first try was lost is a call of its own."""
    had = create_response({"x-stainless-retry-count": "0"}).json["id"]

    assert send(create_response, 1, caller="") != had


def test_a_stream_that_has_begun_counts_as_answered(create_response, fake_worker):
    """An openai client never resends a call whose stream has begun."""
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: create_response(stream=True).text)
        had = until(fake_worker.next_queued)
        fake_worker.complete(had, ANSWER)
        assert had in reader.result(30)
    retry = create_response({"x-stainless-retry-count": "1"}, stream=True, buffered=False)

    assert had.encode() not in next(retry.iter_encoded())
    retry.close()


def test_a_job_found_by_a_retry_is_not_given_to_another_call(create_response, fake_worker):
    """The job of an identical call that still waits can be found."""
    lost, other = send(create_response, 0, caller=""), send(create_response, 0, caller="")
    retry = {"x-stainless-retry-count": "1"}

    assert create_response(retry).json["id"] == other
    assert send(create_response, 1, caller="") == lost
    assert send(create_response, 2, caller="") == lost


@pytest.mark.parametrize("other", [{"caller": "Bearer b"}, {"input": "ho"}, {"store": True}])
def test_another_caller_or_another_body_is_another_job(create_response, other):
    """Deduplication compares the caller and the whole body."""
    first = send(create_response, 0)

    assert send(create_response, 1, **other) != first


def test_a_retry_whose_first_try_was_lost_is_a_new_job(create_response):
    """There is no job to find, so the retry creates one."""
    assert send(create_response, 2).startswith("resp_")


def test_a_retry_of_a_cancelled_or_deleted_job_is_a_new_job(create_response, api_client):
    """The client still wants an answer."""
    first = send(create_response, 0)
    api_client.post(f"/v1/responses/{first}/cancel")
    second = send(create_response, 1)
    api_client.delete(f"/v1/responses/{second}")

    assert len({first, second, send(create_response, 1)}) == 3


def test_deduplication_can_be_switched_off(make_api, api_redis_port, api_services):
    """With `resend_window_seconds=0` every request is a new job."""
    client = make_api(api_redis_port, resend_window_seconds=0).test_client()

    def post(count):
        body = {"input": "hi", "background": True}
        return client.post("/v1/responses", json=body, headers={"x-stainless-retry-count": count}).json["id"]

    assert post("0") != post("1")


def test_an_idempotency_key_overrides_the_retry_count(create_response):
    """The same key is the same job, whatever the client's retry count."""
    headers = {"Idempotency-Key": "k"}
    first = create_response(headers).json["id"]

    assert create_response(headers).json["id"] == first
    refused = create_response(headers, input="other")
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "idempotency_conflict")


def test_an_api_key_is_never_stored(create_response, redis_client_of_api):
    """It only enters a digest, and is in no key and no value of the store."""
    send(create_response, 0, caller="Bearer sk-canary")
    dump = b" ".join(
        bytes(name) + (redis_client_of_api.dump(name) or b"") for name in redis_client_of_api.scan_iter("*")
    )

    assert b"sk-canary" not in dump
