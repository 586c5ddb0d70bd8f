"""The unmodified client's responses, with a provider of either API."""

import json
import signal

import openai
import pytest
from pydantic import BaseModel

from tests.support.offline_model import calls, directive, key
from tests.support.waiting import until

SLOW = "[[offline tokens=30 interval=0.05]]"
THIRTY = " ".join(f"w{number}" for number in range(30))
REFUSALS = [(400, openai.BadRequestError), (404, openai.NotFoundError)]
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather somewhere.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def numbers(events):
    return [event.sequence_number for event in events]


def wait_until_final(client, response):
    return until(lambda: _final(client.responses.retrieve(response.id)))


def _final(response):
    return None if response.status in ("queued", "in_progress") else response


def test_a_response_is_returned_when_final(client):
    """A call without a stream returns the complete object."""
    response = client.responses.create(model="m", input="hello", instructions="Be brief.", metadata={"a": "b"})

    assert "no language model" in response.output_text
    assert (response.status, response.metadata, response.instructions) == ("completed", {"a": "b"}, "Be brief.")
    assert (response.usage.input_tokens, response.usage.total_tokens) == (3, 3 + response.usage.output_tokens)
    assert response.output[0].status == "completed"


def test_a_background_response_returns_immediately_and_is_polled(client):
    """It is queued first, and completed when polled later."""
    response = client.responses.create(model="m", input="[[offline delay=0.5 say=done]]", background=True)

    assert (response.status, response.output, response.background) == ("queued", [], True)
    assert wait_until_final(client, response).output_text == "done"


def test_a_stream_has_every_event_in_order(client):
    """The sequence numbers have no gap, and the last event has the complete response."""
    events = list(client.responses.create(model="m", input="[[offline tokens=3 interval=0.05]]", stream=True))

    kinds = [event.type.removeprefix("response.") for event in events]
    assert numbers(events) == list(range(len(events)))
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert events[-1].response.output_text == events[-4].text == "w0 w1 w2"
    assert events[-2].item.content[0].text == events[-3].part.text == "w0 w1 w2"
    assert events[-1].response == client.responses.retrieve(events[0].response.id)


def test_the_stream_helper_works(client):
    """The client's own accumulator accepts every event."""
    with client.responses.stream(model="m", input=SLOW) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert snapshots[-1] == final.output_text == THIRTY


def test_a_stream_can_be_resumed_after_any_number(client):
    """The events after the number equal those of an uncut stream."""
    all_events = list(client.responses.create(model="m", input=SLOW, background=True, stream=True))
    response_id = all_events[0].response.id

    for after in (0, 2, 5, len(all_events) - 3, len(all_events) - 2):
        rest = list(client.responses.retrieve(response_id, stream=True, starting_after=after))
        assert [event.to_dict() for event in rest] == [event.to_dict() for event in all_events[after + 1 :]]
    assert list(client.responses.retrieve(response_id, stream=True, starting_after=len(all_events) - 1)) == []


def test_a_background_stream_is_cut_and_resumed_while_it_runs(client):
    """No event is lost or repeated."""
    stream = client.responses.create(model="m", input=SLOW, background=True, stream=True)
    head = []
    for event in stream:
        head.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    rest = list(client.responses.retrieve(head[0].response.id, stream=True, starting_after=head[-1].sequence_number))

    assert numbers(head + rest) == list(range(len(head + rest)))
    deltas = [event.delta for event in head + rest if event.type == "response.output_text.delta"]
    assert "".join(deltas) == rest[-1].response.output_text == THIRTY


def test_the_stream_helper_resumes_by_id(client):
    """The client's helper accepts a resumed stream."""
    response = client.responses.create(model="m", input=SLOW, background=True)

    with client.responses.stream(response_id=response.id, starting_after=6) as stream:
        events = list(stream)
        assert stream.get_final_response().output_text == THIRTY
    assert min(numbers(events)) == 7


def test_a_cancelled_queued_response_never_calls_the_provider(stack, client, worker):
    """No call is paid for."""
    name = key()
    worker.send(signal.SIGSTOP)
    try:
        response = client.responses.create(model="m", input=directive("tokens=3", name), background=True)
        cancelled = client.responses.cancel(response.id)
    finally:
        worker.send(signal.SIGCONT)

    assert (cancelled.status, cancelled.output) == ("cancelled", [])
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.create(model="m", input="[[offline say=after]]").output_text == "after"
    assert calls(stack.model_url, name)["calls"] == 0


def test_a_cancelled_running_response_keeps_its_output(stack, client):
    """The partial text stays in the response."""
    name = key()
    stream = client.responses.create(
        model="m", input=directive("tokens=600 interval=0.05", name), background=True, stream=True
    )
    events = []
    for event in stream:
        events.append(event)
        if len([event for event in events if event.type == "response.output_text.delta"]) == 3:
            client.responses.cancel(events[0].response.id)
    response = client.responses.retrieve(events[0].response.id)

    assert events[-1].type == "response.cancelled"
    assert numbers(events) == list(range(len(events)))
    assert response.status == "cancelled"
    assert response.output_text == "".join(event.delta for event in events if "text.delta" in event.type)
    assert response.output_text.startswith("w0 w1")
    assert response.usage.output_tokens >= 3
    until(lambda: calls(stack.model_url, name)["closed_early"] == 1)


def test_cancelling_a_final_response_changes_nothing(client):
    """The call returns the unchanged response."""
    response = wait_until_final(client, client.responses.create(model="m", input="hi", background=True))

    assert client.responses.cancel(response.id) == response


def test_a_foreground_response_is_cancelled_by_a_disconnect(stack, client):
    """Its cancel call is rejected; closing its stream or its wait cancels it."""
    name = key()
    waited = client.responses.create(model="m", input="hi")
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(waited.id)

    stream = client.responses.create(model="m", input=directive("tokens=600 interval=0.05", name), stream=True)
    response = next(iter(stream)).response
    until(lambda: calls(stack.model_url, name)["open"])
    stream.close()
    assert wait_until_final(client, response).status == "cancelled"

    name = key()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).responses.create(model="m", input=directive("delay=20", name))
    until(lambda: calls(stack.model_url, name)["closed_early"] == 1)


def test_a_running_response_can_be_deleted(client):
    """It is cancelled first, and is a 404 afterwards."""
    ended_one = client.responses.create(model="m", input="hi")
    running = client.responses.create(model="m", input="[[offline tokens=600 interval=0.05]]", background=True)

    for response in (ended_one, running):
        client.responses.delete(response.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.cancel(response.id)


def test_input_items_are_listed_page_by_page(client):
    """Following the pages lists each item once, in either order."""
    prompt = [{"role": "user", "content": f"message {number}"} for number in range(5)]
    response = client.responses.create(model="m", input=prompt)

    page = client.responses.input_items.list(response.id, limit=2)
    assert [item.content[0].text for item in page] == [f"message {number}" for number in (4, 3, 2, 1, 0)]
    assert [item.content[0].text for item in page.data] == ["message 4", "message 3"]
    oldest = client.responses.input_items.list(
        response.id, order="asc", limit=1, include=["message.input_image.image_url"]
    )
    assert oldest.data[0].content[0].text == "message 0"


def test_a_conversation_continues(client):
    """The word count of the provider proves that it received all earlier messages."""
    first = client.responses.create(model="m", input="one two", instructions="only here")
    second = client.responses.create(model="m", input="three", previous_response_id=first.id)
    third = client.responses.create(model="m", input="four", previous_response_id=second.id)

    assert second.previous_response_id == first.id
    assert first.usage.input_tokens == 4
    assert second.usage.input_tokens == 2 + first.usage.output_tokens + 1
    assert third.usage.input_tokens == second.usage.input_tokens + second.usage.output_tokens + 1
    roles = [item.role for item in client.responses.input_items.list(third.id, order="asc")]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_an_unknown_previous_response_is_rejected(client):
    """So is a malformed id and one of a response without an answer yet."""
    running = client.responses.create(model="m", input="[[offline delay=20]]", background=True)
    for previous in ("resp_" + "0" * 32, "nonsense", running.id):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="m", input="hi", previous_response_id=previous)
        assert refused.value.param == "previous_response_id"
    client.responses.cancel(running.id)


def test_a_function_call_and_its_output_round_trip(client):
    """The call works streamed and not, and the next answer uses its output."""
    prompt = "[[offline call=1]] How is the weather?"
    response = client.responses.create(model="m", input=prompt, tools=[WEATHER])
    with client.responses.stream(model="m", input=prompt, tools=[WEATHER]) as stream:
        arguments = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        streamed = stream.get_final_response()

    (call,) = response.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "offline"})
    assert json.loads("".join(arguments)) == json.loads(streamed.output[0].arguments) == {"city": "offline"}
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answer = client.responses.create(model="m", input=[output], previous_response_id=response.id, tools=[WEATHER])
    assert "no language model" in answer.output_text
    by_hand = client.responses.create(
        model="m", input=[{"role": "user", "content": prompt}, *response.output, output], tools=[WEATHER]
    )
    assert "no language model" in by_hand.output_text


def test_several_functions_are_called_in_parallel(client):
    """Each call is an item of its own."""
    tools = [WEATHER, WEATHER | {"name": "tides"}]
    with client.responses.stream(model="m", input="[[offline call=2]] How is it?", tools=tools) as stream:
        events = list(stream)
        response = stream.get_final_response()

    assert [call.name for call in response.output] == ["weather", "tides"]
    assert numbers(events) == list(range(len(events)))


def test_structured_output_is_parsed(client):
    """The client's `parse` returns an instance of the model."""

    class City(BaseModel):
        name: str
        people: int
        rivers: list[str]

    parsed = client.responses.parse(model="m", input="Which city?", text_format=City).output_parsed
    with client.responses.stream(model="m", input="Which city?", text_format=City) as stream:
        streamed = stream.get_final_response().output_parsed

    assert parsed == streamed == City(name="offline", people=1, rivers=["offline"])


def test_an_incomplete_response_has_its_reason(client):
    """A length limit and a content filter are both reported, and the stream agrees with the response."""
    for words, limit, reason in (("tokens=9", 4, "max_output_tokens"), ("filter=1 say=x", None, "content_filter")):
        response = client.responses.create(model="m", input=f"[[offline {words}]]", max_output_tokens=limit)
        assert (response.status, response.incomplete_details.reason) == ("incomplete", reason)
        assert response.usage.output_tokens == (limit or 1)
        events = list(client.responses.retrieve(response.id, stream=True))
        assert events[-1].type == "response.incomplete"
        assert events[-1].response == response


def test_a_failed_response_has_its_error(client):
    """It raises in the foreground, and is a failed response with OpenAI's code in the background."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="m", input="[[offline status=400]]")
    response = wait_until_final(
        client, client.responses.create(model="m", input="[[offline status=400]]", background=True)
    )
    events = list(client.responses.retrieve(response.id, stream=True))

    assert refused.value.code == "provider_rejected_request"
    assert (response.status, response.error.code) == ("failed", "invalid_prompt")
    assert events[-1].type == "response.failed"


@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_a_rejected_streamed_response_raises_the_clients_own_class(client, status, error):
    """The error comes as a status, since no event has been sent."""
    with pytest.raises(error):
        client.responses.create(model="m", input=f"[[offline status={status}]]", stream=True)


def test_a_restarted_attempt_leaves_the_stream_valid(client):
    """The provider cuts the first attempt off, and only the text of the next attempt counts."""
    prompt = directive("tokens=12 interval=0.02 cut=5 times=1", key())
    with client.responses.stream(model="m", input=prompt) as stream:
        events = list(stream)
        final = stream.get_final_response()

    added = [event for event in events if event.type == "response.output_item.added"]
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == [event.output_index for event in done] == [0]
    assert [event.item.status for event in done] == ["completed"]
    assert [item.id for item in final.output] == [added[0].item.id]
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert final.output_text == deltas == " ".join(f"w{number}" for number in range(12))


def test_a_client_can_ask_for_the_output_of_restarted_attempts(client):
    """Each attempt then has an item of its own, and only the text of the last one counts."""
    prompt = directive("tokens=12 interval=0.02 cut=5 times=1", key())
    options = {"extra_body": {"stream_options": {"include_restarts": True}}}
    with client.responses.stream(model="m", input=prompt, **options) as stream:
        events = list(stream)
        final = stream.get_final_response()

    added = [event for event in events if event.type == "response.output_item.added"]
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == [event.output_index for event in done] == [0, 1]
    assert len({event.item.id for event in added}) == 2
    assert [event.item.status for event in done] == ["incomplete", "completed"]
    assert [item.id for item in final.output] == [added[1].item.id]
    assert final.output_text == " ".join(f"w{number}" for number in range(12))
    assert [item.id for item in client.responses.retrieve(final.id).output] == [added[1].item.id]


def test_an_unstored_response_cannot_run_in_the_background(client):
    """A background response is fetched later, so `store: false` is rejected for it."""
    response = client.responses.create(model="m", input="hi", store=False)

    assert response.store is False
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="m", input="hi", store=False, background=True)
    assert refused.value.param == "store"
