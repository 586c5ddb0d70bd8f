"""A request may refer to items of earlier responses by id, as Vercel's AI SDK does from the second turn on."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs import queries
from jobs.kinds.completion import CompletionAnswer
from jobs.kinds.response import ResponseAnswer
from jobs.results import Usage
from tests.api.streamed import events
from tests.support.waiting import until

USAGE = Usage.estimate(input_chars=1, deltas=1)
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
EMPTY_THOUGHT = {"id": "rs_2", "type": "reasoning", "summary": []}
PROVIDERS_OWN = ResponseAnswer(
    text="", model="m", finish_reason="stop", usage=USAGE, body={"output": [THOUGHT, EMPTY_THOUGHT, CALL]}
)
PLAIN = ResponseAnswer(text="One", model="m", finish_reason="stop", usage=USAGE)


def delivered(api_client, fake_worker, answer, how, **body):
    """The output of a response, as its client has received it."""
    with ThreadPoolExecutor() as pool:
        request = {"input": "hi", "background": how == "fetched", "stream": how == "streamed", **body}
        call = pool.submit(lambda: api_client.post("/v1/responses", json=request))
        fake_worker.complete(until(fake_worker.next_queued), answer)
        received = call.result(30)
    if how == "streamed":
        return events(received.text)[-1]["response"]["output"]
    if how == "fetched":
        return api_client.get(f"/v1/responses/{received.json['id']}").json["output"]
    return received.json["output"]


def stored_input(api_client, store, *items):
    response = api_client.post("/v1/responses", json={"input": list(items), "background": True})
    assert response.status_code == 200, response.text
    return store.run(queries.request(response.json["id"])).body["input"]


def reference(item):
    return {"type": "item_reference", "id": item["id"]}


@pytest.mark.parametrize("how", ["waited", "streamed", "fetched"])
def test_a_reference_is_replaced_by_its_item(api_client, fake_worker, api_services, how):
    """Whatever way the client has received the item, and whether the id is the provider's or ours."""
    thought, empty, call = delivered(api_client, fake_worker, PROVIDERS_OWN, how)
    (message,) = delivered(api_client, fake_worker, PLAIN, how)
    output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    asked = [reference(thought), reference(empty), {"id": call["id"]}, output, reference(message)]
    items = stored_input(api_client, api_services.store, *asked)

    assert [item["type"] for item in items] == ["reasoning", "function_call", "function_call_output", "message"]
    assert (items[0]["encrypted_content"], items[1]["call_id"]) == ("gAAA", "c1")
    assert items[3]["content"][0]["text"] == "One"
    assert "id" not in items[3]


@pytest.mark.parametrize("how", ["never delivered", "not stored", "deleted"])
def test_a_reference_to_a_missing_item_is_not_found(api_client, fake_worker, how):
    """OpenAI's status, and the id in the message."""
    if how == "never delivered":
        item_id = "msg_unknown"
    elif how == "not stored":
        item_id = delivered(api_client, fake_worker, PLAIN, "waited", store=False)[0]["id"]
    else:
        response_id = api_client.post("/v1/responses", json={"input": "hi", "background": True}).json["id"]
        fake_worker.complete(response_id, PLAIN)
        item_id = api_client.get(f"/v1/responses/{response_id}").json["output"][0]["id"]
        api_client.delete(f"/v1/responses/{response_id}")
    missing = api_client.post("/v1/responses", json={"input": [{"type": "item_reference", "id": item_id}]})

    assert (missing.status_code, missing.json["error"]["code"]) == (404, "item_not_found")
    assert item_id in missing.json["error"]["message"]


def test_items_of_a_chat_completion_can_be_referred_to(api_client, fake_worker, api_services):
    """It can be read as a response, whose items have ids."""
    message = {"role": "assistant", "content": "One"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    answer = CompletionAnswer(text="One", model="m", finish_reason="stop", usage=USAGE, body=body)
    with ThreadPoolExecutor() as pool:
        asked = {"messages": [{"role": "user", "content": "hi"}]}
        call = pool.submit(lambda: api_client.post("/v1/chat/completions", json=asked))
        fake_worker.complete(until(fake_worker.next_queued), answer)
        completion = call.result(30).json
    (item,) = api_client.get(f"/v1/responses/{completion['id']}").json["output"]
    (resolved,) = stored_input(api_client, api_services.store, reference(item))

    assert resolved["content"][0]["text"] == "One"


def test_an_input_without_references_costs_no_read(api_client, api_services):
    """An item with more than an id is not a reference, whatever its id."""
    given = [{"role": "user", "content": "hi"}, {"type": "message", "id": "msg_1", "role": "user", "content": "x"}]

    assert stored_input(api_client, api_services.store, *given) == given
