"""The unmodified client's embeddings, models and errors, and one job through both APIs."""

import json
import urllib.request

import openai
import pytest

from tests.support.offline_model import calls, directive, key
from tests.support.waiting import until


def native(stack, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{stack.url}/api/v1{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def test_vectors_are_the_same_in_both_formats(client):
    """Numbers and base64 decode to the same vectors."""
    texts = ["first text", "second"]
    by_default = client.embeddings.create(model="e", input=texts)
    as_numbers = client.embeddings.create(model="e", input=texts, encoding_format="float", dimensions=384, user="u")
    as_text = client.embeddings.create(model="e", input=texts, encoding_format="base64")

    assert [row.index for row in by_default.data] == [0, 1]
    assert [row.embedding for row in by_default.data] == [row.embedding for row in as_numbers.data]
    assert isinstance(as_text.data[0].embedding, str)
    assert (by_default.usage.prompt_tokens, by_default.model) == (3, "e")


def test_a_single_text_and_tokens_are_accepted(client):
    """Every input shape of OpenAI's API works."""
    single = client.embeddings.create(model="e", input="first text")
    tokens = client.embeddings.create(model="e", input=[1, 2, 3])
    many = client.embeddings.create(model="e", input=[[1, 2, 3], [4]])

    assert len(single.data) == len(tokens.data) == 1
    assert many.data[0].embedding == tokens.data[0].embedding != many.data[1].embedding


def test_the_models_are_those_that_the_provider_lists(client):
    """The list and a single model come from the provider."""
    listed = until(lambda: [model for model in client.models.list() if model.owned_by == "chatqueue-offline"])

    assert [model.id for model in listed] == ["gpt-5-mini", "text-embedding-3-small"]
    assert client.models.retrieve("gpt-5-mini").id == "gpt-5-mini"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("no/such")
    assert missing.value.code == "model_not_found"


ERRORS = {
    openai.BadRequestError: (400, "provider_rejected_request"),
    openai.NotFoundError: (404, "model_not_found"),
    openai.InternalServerError: (401, "provider_auth_failed"),
}


@pytest.mark.parametrize("raised", ERRORS, ids=lambda kind: kind.__name__)
def test_a_provider_error_raises_the_matching_class(client, raised):
    """An invalid key of the server is not reported as the caller's mistake."""
    status, code = ERRORS[raised]
    prompt = f"[[offline status={status}]]"
    for call in (
        lambda: client.responses.create(model="m", input=prompt),
        lambda: client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}]),
        lambda: client.embeddings.create(model="m", input=prompt),
    ):
        with pytest.raises(raised) as refused:
            call()
        assert refused.value.code == code
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert refused.value.request_id.startswith("req_")


def test_an_exhausted_quota_is_a_rate_limit_error(client):
    """The provider's 429 is not turned into a server error."""
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="m", input="[[offline status=429 code=insufficient_quota]]")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi", "model": 5}, "model"),
        ({"model": "m"}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": "hi", "stream": "yes"}, "stream"),
        ({"input": "hi", "conversation": "conv_1"}, "conversation"),
        ({"input": "hi", "metadata": {"a": 5}}, "metadata.a"),
    ],
)
def test_an_unsupported_parameter_is_rejected_by_name(client, body, param):
    """The error has the parameter in `param`."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/responses", body=body, cast_to=object)

    assert refused.value.param == param


def test_an_unknown_path_and_an_invalid_body_raise_the_clients_own_classes(client):
    """Errors outside of any view have OpenAI's format too."""
    with pytest.raises(openai.NotFoundError):
        client.get("/no/such", cast_to=object)
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.retrieve("resp_nonsense")
    assert missing.value.code == "job_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        client.post(
            "/responses", content=b"{", cast_to=object, options={"headers": {"Content-Type": "application/json"}}
        )
    assert refused.value.code == "malformed_json"


def test_unrecognised_parameters_are_forwarded_to_the_provider(client):
    """The provider receives them, and the answer is not affected."""
    extra = {"top_k": 5, "vendor": {"safe": True}}
    assert client.responses.create(model="m", input="hi", extra_body=extra).status == "completed"
    completion = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], extra_body=extra
    )
    assert completion.choices[0].finish_reason == "stop"


def test_one_job_is_visible_through_both_apis(stack, client):
    """/v1 and the native API show the same job."""
    chat = native(stack, "/chat/async", {"message": "hello", "system": "Be brief."})
    native(stack, f"/chat/jobs/{chat['job_id']}?wait=20")
    chat_response = client.responses.retrieve(chat["job_id"])
    events = list(client.responses.retrieve(chat["job_id"], stream=True))
    response = client.responses.create(model="m", input="hello")
    completion = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

    assert (chat_response.output_text, chat_response.instructions) == (response.output_text, "Be brief.")
    assert events[-1].response == chat_response
    for job_id, kind in ((response.id, "response"), (completion.id, "completion")):
        assert native(stack, f"/chat/jobs/{job_id}")["answer"] == chat_response.output_text
        assert native(stack, f"/tasks/{job_id}")["kind"] == kind
        assert native(stack, f"/tasks/{job_id}/result")["result"]["text"] == chat_response.output_text
        assert client.responses.retrieve(job_id).output_text == chat_response.output_text
    follow_up = client.responses.create(model="m", input="and?", previous_response_id=chat["job_id"])
    assert follow_up.usage.input_tokens > chat_response.usage.output_tokens


def test_a_call_that_the_client_retries_is_made_once(stack, client):
    """After a broken connection or a timeout, the retry waits for the job of the first try."""
    name = key()
    prompt = directive("delay=2.5 say=once", name)
    short_timeout_client = client.with_options(timeout=1, max_retries=3)

    assert short_timeout_client.responses.create(model="m", input=prompt).output_text == "once"
    assert calls(stack.model_url, name) | {"last_closed_early_at": None} == {
        "calls": 1,
        "open": 0,
        "closed_early": 0,
        "last_closed_early_at": None,
    }


def test_two_intended_identical_calls_are_two_jobs(stack, client):
    """Deduplication applies to retries only."""
    name = key()
    first, second = (client.responses.create(model="m", input=directive("say=x", name)) for _ in range(2))

    assert first.id != second.id
    assert calls(stack.model_url, name)["calls"] == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_delivered_answer_is_not_given_to_a_later_retry(client, stream):
    """Over a real connection, an identical call whose first try was lost gets its own job."""

    def ask(count):
        headers = {"x-stainless-retry-count": str(count)}
        request = {"model": "m", "input": "[[offline say=once]]", "stream": stream, "extra_headers": headers}
        answer = client.responses.create(**request)
        return list(answer)[-1].response.id if stream else answer.id

    assert ask(0) != ask(1)
