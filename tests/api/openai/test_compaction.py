"""/v1/responses/compact: a conversation whose model writes a summary of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.kinds import read_request
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.results import Usage
from jobs.storage import keys
from openai_format.chat_request import chat_request
from tests.support.waiting import until

SAID = [{"role": "user", "content": "Launch on Tuesday."}, {"role": "assistant", "content": "Noted."}]
USAGE = Usage(input_tokens=3, output_tokens=5, total_tokens=8)


def answer(text):
    return ResponseAnswer(text=text, model="m", finish_reason="stop", usage=USAGE)


@pytest.fixture
def post_answered(api_client, fake_worker, redis_client_of_api):
    """Posts a request, answers its job with a text, and returns the response and the messages for the provider."""

    def post(path, text, **body):
        with ThreadPoolExecutor() as pool:
            reply = pool.submit(api_client.post, f"/v1/{path}", json={"model": "m", **body})
            job_id = until(fake_worker.next_queued)
            task = read_request(redis_client_of_api.get(keys.request(job_id)))
            assert isinstance(task, ResponseTask)
            fake_worker.complete(job_id, answer(text))
            return reply.result(), chat_request(task.body, task.previous_items)["messages"]

    return post


def test_a_compacted_conversation_continues_with_its_summary(post_answered):
    """The user's messages stay verbatim; the summary stands for the rest, also when it is compacted again."""
    compacted, asked = post_answered(
        "responses/compact", "They launch on Tuesday.", input=SAID, instructions="Be brief."
    )
    output = compacted.json["output"]
    when = {"role": "user", "content": "When?"}
    continued, sent = post_answered("responses", "On Tuesday.", input=[*output, when])
    again, _ = post_answered("responses/compact", "Tuesday.", previous_response_id=continued.json["id"])

    assert (compacted.json["object"], compacted.json["usage"]["output_tokens"]) == ("response.compaction", 5)
    assert [message["content"] for message in asked[:-1]] == ["Be brief.", "Launch on Tuesday.", "Noted."]
    assert (output[0]["content"][0]["text"], output[1]["type"]) == ("Launch on Tuesday.", "compaction")
    assert [message["role"] for message in sent] == ["user"] * 3
    assert sent[1]["content"].endswith("They launch on Tuesday.")
    assert [item["type"] for item in again.json["output"]] == ["message", "message", "compaction"]


def test_a_conversation_without_a_summary_is_not_compacted(post_answered):
    """The client would throw away what it has."""
    refused, _ = post_answered("responses/compact", " ", input=SAID)

    assert (refused.status_code, refused.json["error"]["code"]) == (502, "compaction_incomplete")


@pytest.mark.parametrize("wrong", [{"input": "hi"}, {"model": "m"}, {"model": "m", "input": "hi", "stream": True}])
def test_a_compaction_needs_a_model_and_a_conversation(api_client, wrong):
    """It cannot be streamed either."""
    assert api_client.post("/v1/responses/compact", json=wrong).status_code == 400
