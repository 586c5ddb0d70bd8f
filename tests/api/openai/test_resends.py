"""Calls that a client sends again: each finds the job of its first try, and none that of another call."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.kinds.response import ResponseAnswer
from jobs.results import Usage
from tests.waiting import until

USAGE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)
ANSWER = ResponseAnswer(text="an answer", model="m", finish_reason="stop", usage=USAGE)


def send(create_response, count=None, caller="Bearer a", **body):
    """A call whose answer is lost on its way: why clients send again."""
    headers = {"Authorization": caller} | ({} if count is None else {"x-stainless-retry-count": str(count)})
    response = create_response(headers, buffered=False, **body)
    payload = json.loads(next(response.iter_encoded()))
    response.close()
    return payload["id"]


def test_what_a_client_sends_again_is_the_job_of_its_first_try(create_response):
    first = send(create_response, 0)

    assert send(create_response, 1) == send(create_response, 2) == first


def test_what_is_sent_once_more_on_purpose_is_another_job(create_response):
    """And a retry is of the latest."""
    first, second = send(create_response, 0), send(create_response, 0)

    assert first != second
    assert send(create_response, 1) == second


def test_equal_calls_that_are_all_sent_again_find_a_job_each(create_response):
    """However often; one of which the first try never came gets a new one."""
    first_tries = {send(create_response, 0) for _ in range(3)}

    assert {send(create_response, 1) for _ in range(3)} == first_tries
    assert {send(create_response, 2) for _ in range(3)} == first_tries
    late = send(create_response, 1)
    assert late not in first_tries
    assert send(create_response, 2) == late


def test_a_call_that_is_sent_again_takes_no_job_that_another_has_taken_while_one_is_left(create_response):
    """Though its count is higher: the retry before this one never came."""
    first_tries = {send(create_response, 0), send(create_response, 0)}

    assert {send(create_response, 1), send(create_response, 2)} == first_tries


def test_a_retry_that_finds_one_cancelled_takes_the_other(create_response, api_client):
    other, cancelled = send(create_response, 0), send(create_response, 0)
    api_client.post(f"/v1/responses/{cancelled}/cancel")

    assert send(create_response, 1) == other


def test_only_the_latest_equal_calls_are_remembered(create_response, redis_client_of_api):
    """Nobody sends more of them again within the window, and the memory of them stays small."""
    for _ in range(40):
        send(create_response, 0)
    (remembered,) = redis_client_of_api.scan_iter("cq:resends:*")

    assert redis_client_of_api.llen(remembered) == 32
    assert 0 < redis_client_of_api.ttl(remembered) <= 1_800


def test_a_retry_never_gets_an_answer_that_an_earlier_call_has_had(create_response, api_client):
    """An equal call whose own first try never came: it is a call of its own."""
    had = create_response({"x-stainless-retry-count": "0"}).json["id"]

    assert send(create_response, 1, caller="") != had


def test_a_stream_that_has_begun_is_an_answer(create_response, fake_worker):
    """No openai client sends such a call again."""
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: create_response(stream=True).text)
        had = until(fake_worker.next_queued)
        fake_worker.complete(had, ANSWER)
        assert had in reader.result(30)
    retry = create_response({"x-stainless-retry-count": "1"}, stream=True, buffered=False)

    assert had.encode() not in next(retry.iter_encoded())
    retry.close()


def test_a_call_that_comes_back_for_its_answer_is_left_to_nobody_else(create_response, fake_worker):
    """Its retry has it; the job of an equal call that waits still is found."""
    lost, other = send(create_response, 0, caller=""), send(create_response, 0, caller="")
    retry = {"x-stainless-retry-count": "1"}

    assert create_response(retry).json["id"] == other
    assert send(create_response, 1, caller="") == lost
    assert send(create_response, 2, caller="") == lost


@pytest.mark.parametrize("other", [{"caller": "Bearer b"}, {"input": "ho"}, {"store": True}])
def test_what_another_caller_sends_or_with_another_body_is_another_job(create_response, other):
    first = send(create_response, 0)

    assert send(create_response, 1, **other) != first


def test_a_retry_whose_first_try_never_came_is_a_new_job(create_response):
    assert send(create_response, 2).startswith("resp_")


def test_a_retry_of_what_was_cancelled_or_deleted_is_a_new_job(create_response, api_client):
    first = send(create_response, 0)
    api_client.post(f"/v1/responses/{first}/cancel")
    second = send(create_response, 1)
    api_client.delete(f"/v1/responses/{second}")

    assert len({first, second, send(create_response, 1)}) == 3


def test_that_retries_find_their_job_can_be_switched_off(make_api, api_redis_port, api_services):
    client = make_api(api_redis_port, resend_window_seconds=0).test_client()

    def post(count):
        body = {"input": "hi", "background": True}
        return client.post("/v1/responses", json=body, headers={"x-stainless-retry-count": count}).json["id"]

    assert post("0") != post("1")


def test_an_idempotency_key_names_a_call_whatever_its_count(create_response):
    headers = {"Idempotency-Key": "k"}
    first = create_response(headers).json["id"]

    assert create_response(headers).json["id"] == first
    refused = create_response(headers, input="other")
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "idempotency_conflict")


def test_a_key_of_a_caller_is_in_no_key_and_no_value_of_the_store(create_response, redis_client_of_api):
    """Not even as it was sent: it only goes into a digest."""
    send(create_response, 0, caller="Bearer sk-canary")
    dump = b" ".join(
        bytes(name) + (redis_client_of_api.dump(name) or b"") for name in redis_client_of_api.scan_iter("*")
    )

    assert b"sk-canary" not in dump
