"""The offline model does what a request asks for, or rejects the request with OpenAI's error."""

import http.client
import json
import math
import sys
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import openai
import pytest

from local.offline_model.schema_faker import fake_value
from tests.support.processes import running

COMMAND = [sys.executable, "-W", "error", "-m", "local.offline_model", "--port", "0", "--responses"]
LISTENING = "offline model listening on "
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {name: {}}}}}
    for name in ("first", "second")
]
RESPONSE_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]


@pytest.fixture(scope="module")
def port():
    with running(COMMAND, ready=LISTENING) as process:
        yield int(process.wait_for(LISTENING).rsplit(":", 1)[1].removesuffix("/v1\n"))


def connect(url):
    return openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=5)


@pytest.fixture(scope="module")
def client(port):
    with connect(f"http://127.0.0.1:{port}/v1") as client:
        yield client


def ask(client, prompt, **options):
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}], **options)


def send(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", path, json.dumps(body).encode(), {"Authorization": "Bearer x"})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def chat(**fields):
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}


def messages(*entries):
    return {"model": "m", "messages": list(entries)}


def parts(*entries):
    return messages({"role": "user", "content": list(entries)})


def items(*entries):
    return {"model": "m", "input": list(entries)}


CHAT, RESPONSES, TEXT = "/v1/chat/completions", "/v1/responses", "/v1/completions"
IMAGE = {"type": "image_url", "image_url": {"url": "data:x"}}
CHAT_PART = {"type": "text", "text": "x"}
FOLLOW_UP = {"model": "m", "input": "x", "previous_response_id": "r"}
REFUSED = [
    (CHAT, chat(messages=None), "messages", "missing_required_parameter"),
    (CHAT, chat(messages=[]), "messages", "empty_array"),
    (CHAT, chat(messages="hi"), "messages", "invalid_type"),
    (CHAT, messages({"content": "hi"}), "messages[0].role", "missing_required_parameter"),
    (CHAT, messages({"role": "robot", "content": "hi"}), "messages[0].role", "invalid_value"),
    (CHAT, messages({"role": "user", "content": None}), "messages[0].content", "missing_required_parameter"),
    (CHAT, messages({"role": "user", "content": 5}), "messages[0].content", "invalid_type"),
    (CHAT, messages({"role": "user", "content": []}), "messages[0].content", "empty_array"),
    (CHAT, messages({"role": "assistant"}), "messages[0].content", None),
    (CHAT, messages({"role": "tool", "content": "x"}), "messages[0].tool_call_id", "missing_required_parameter"),
    (CHAT, parts({"type": "input_text", "text": "x"}), "messages[0].content[0].type", "invalid_value"),
    (CHAT, parts({"type": "text"}), "messages[0].content[0].text", "missing_required_parameter"),
    (CHAT, parts({"text": "x"}), "messages[0].content[0].type", "missing_required_parameter"),
    (CHAT, parts({"type": "image_url"}), "messages[0].content[0].image_url", "missing_required_parameter"),
    (CHAT, messages({"role": "system", "content": [IMAGE]}), "messages[0].content[0].type", "invalid_value"),
    (CHAT, chat(n=0), "n", "integer_below_min_value"),
    (CHAT, chat(n=500), "n", "integer_above_max_value"),
    (CHAT, chat(n="2"), "n", "invalid_type"),
    (CHAT, chat(temperature=9), "temperature", "decimal_above_max_value"),
    (CHAT, chat(stop=["a"] * 5), "stop", "array_above_max_length"),
    (CHAT, chat(stop=5), "stop", "invalid_type"),
    (CHAT, chat(top_logprobs=3), "top_logprobs", None),
    (CHAT, chat(logprobs=True, top_logprobs=21), "top_logprobs", "integer_above_max_value"),
    (CHAT, chat(tool_choice="required"), "tool_choice", None),
    (CHAT, chat(tools=TOOLS, tool_choice="maybe"), "tool_choice", "invalid_value"),
    (CHAT, chat(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "x"}}), "tool_choice", None),
    (CHAT, chat(tools=[]), "tools", "empty_array"),
    (CHAT, chat(tools=[{"type": "web_search"}]), "tools[0].type", "invalid_value"),
    (CHAT, chat(response_format={"type": "xml"}), "response_format.type", "invalid_value"),
    (CHAT, chat(response_format={"type": "json_object"}), "messages", None),
    (CHAT, chat(response_format={"type": "json_schema"}), "response_format.json_schema", "missing_required_parameter"),
    (CHAT, chat(stream_options={"include_usage": True}), "stream_options", None),
    (CHAT, chat(max_tokens=1, max_completion_tokens=1), "max_tokens", "invalid_parameter_combination"),
    (CHAT, chat(functions=[{"name": "f"}]), "functions", "unsupported_parameter"),
    (CHAT, chat(modalities=["text", "audio"]), "modalities", "unsupported_value"),
    (RESPONSES, items(), "input", "missing_required_parameter"),
    (RESPONSES, {"model": "m"}, "input", "missing_required_parameter"),
    (RESPONSES, items({"type": "poem"}), "input[0]", "invalid_value"),
    (RESPONSES, items({"role": "tool", "content": "x"}), "input[0].role", "invalid_value"),
    (RESPONSES, items({"role": "user", "content": [CHAT_PART]}), "input[0].content[0]", "invalid_value"),
    (RESPONSES, items({"type": "function_call_output"}), "input[0].call_id", "missing_required_parameter"),
    (RESPONSES, items({"type": "item_reference", "id": "msg_1"}), "input", None),
    (RESPONSES, FOLLOW_UP, "previous_response_id", "previous_response_not_found"),
    (RESPONSES, {"model": "m", "input": "x", "tools": [{"type": "poem"}]}, "tools[0].type", "invalid_value"),
    (RESPONSES, {"model": "m", "input": "x", "text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
    (TEXT, {"model": "m", "prompt": []}, "prompt", "empty_array"),
    (TEXT, {"model": "m", "prompt": 5}, "prompt", "invalid_type"),
    (TEXT, {"model": "m", "prompt": ["a", 5]}, "prompt[1]", "invalid_type"),
    (TEXT, {"model": "m", "prompt": [1, "a"]}, "prompt[1]", "invalid_type"),
    (TEXT, {"model": "m", "prompt": "a", "logprobs": 6}, "logprobs", "integer_above_max_value"),
    (TEXT, {"model": "m", "prompt": "a", "n": 3, "best_of": 2}, "best_of", None),
    (TEXT, {"model": "m", "prompt": "a", "best_of": 2, "stream": True}, "best_of", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "param", "code"), REFUSED, ids=str)
def test_what_openai_rejects_is_rejected_with_its_error(port, path, body, param, code):
    """A program that works with this model and not with OpenAI would be found out too late."""
    status, _, text = send(port, path, body)

    error = json.loads(text)["error"]
    assert status == (404 if "item_reference" in str(body) else 400)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert error["message"]


def test_an_error_names_what_is_supported_and_quotes_no_text(port):
    """The message helps without repeating what may be a private text."""
    body = messages({"role": "user", "content": [{"type": "canary of a text", "text": "x"}]})
    known = json.loads(send(port, CHAT, parts({"type": "poem"}))[2])["error"]["message"]
    private = json.loads(send(port, CHAT, body)[2])["error"]["message"]

    assert known == "Invalid value: 'poem'. Supported values are: 'text', 'image_url', 'input_audio', and 'file'."
    assert "canary" not in private


NULLS = [
    "audio",
    "background",
    "best_of",
    "echo",
    "frequency_penalty",
    "function_call",
    "functions",
    "include",
    "instructions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "reasoning",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
]


@pytest.mark.parametrize("path", [CHAT, RESPONSES, TEXT])
def test_a_null_is_an_absent_parameter(port, path):
    """Many programs send null for what they do not use."""
    body = {"model": "m", "input": "hi", "prompt": "hi", "messages": [{"role": "user", "content": "hi", "name": None}]}
    if path == RESPONSES:
        del body["prompt"]

    assert send(port, path, {**dict.fromkeys(NULLS), **body})[0] == 200


def test_known_parts_and_items_are_accepted(port):
    """Images, files, audio, reasoning and calls have no effect on the answer, and are no errors."""
    image, audio = {"url": "data:image/png;base64,AA=="}, {"data": "AA==", "format": "wav"}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = messages(
        {"role": "developer", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": image}, {"type": "text", "text": "a"}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": audio}, {"type": "file", "file": {}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    )
    inputs = items(
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:x"}, {"type": "input_text", "text": "a"}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}]},
    )

    assert [send(port, CHAT, body)[0], send(port, RESPONSES, inputs)[0]] == [200, 200]


def test_several_choices_are_answered_streamed_or_not(client):
    """Each choice has its index, its text and its finish reason; all tokens are counted."""
    whole = ask(client, "[[offline tokens=3]]", n=3)
    *chunks, last = ask(client, "[[offline tokens=3]]", n=3, stream=True, stream_options={"include_usage": True})

    assert [(choice.index, choice.message.content) for choice in whole.choices] == [(n, "w0 w1 w2") for n in range(3)]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    for number in range(3):
        own = [choice for choice in choices if choice.index == number]
        assert "".join(choice.delta.content or "" for choice in own) == "w0 w1 w2"
        assert own[-1].finish_reason == "stop"
    assert whole.usage.completion_tokens == last.usage.completion_tokens == 9


def test_an_answer_ends_before_a_stop_sequence(client):
    """The first of the sequences counts, also in the middle of a word, and it is not part of the answer."""
    text = ask(client, '[[offline say="one two three"]]', stop=["three", "wo"]).choices[0]
    streamed = list(ask(client, '[[offline say="one two three"]]', stop=" two", stream=True))

    assert (text.message.content, text.finish_reason) == ("one t", "stop")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "one"


@pytest.mark.parametrize("words", ["", "call=0"])
@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", ["first"]),
        ({"type": "function", "function": {"name": "second"}}, ["second"]),
        ("none", []),
        ("auto", []),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOLS[1]]}}, ["second"]),
    ],
    ids=str,
)
def test_a_forced_function_is_called(client, words, choice, names):
    """Programs that parse a forced call would fail on a text."""
    prompt = f"[[offline {words}]]"
    answer = ask(client, prompt, tools=TOOLS, tool_choice=choice).choices[0]
    forced = choice if isinstance(choice, str) else {"type": "function", "name": "second"}
    response = client.responses.create(model="m", input=prompt, tools=RESPONSE_TOOLS, tool_choice=forced)

    assert [call.function.name for call in answer.message.tool_calls or ()] == names
    assert answer.finish_reason == ("tool_calls" if names else "stop")
    assert [item.name for item in response.output if item.type == "function_call"] == names


def test_functions_are_called_unasked_if_the_model_is_started_so():
    """For programs whose prompts cannot contain a directive. The answer to the output of a function is a text."""
    with (
        running([*COMMAND, "--call-functions"], ready=LISTENING) as process,
        connect(process.wait_for(LISTENING).split()[-1]) as client,
    ):
        called = client.responses.create(model="m", input="How is the weather?", tools=RESPONSE_TOOLS)
        (call,) = called.output
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        question = {"role": "user", "content": "How is the weather?"}
        ended = client.responses.create(model="m", input=[question, call, output], tools=RESPONSE_TOOLS)
        told = ask(client, "[[offline tokens=2]]", tools=TOOLS).choices[0]

    assert call.name == "first"
    assert ended.output_text
    assert told.message.content == "w0 w1"


def test_a_choice_of_none_and_a_single_call_overrule_the_directive(client):
    """A model that may call no function, or one at a time, does not call two."""
    none = ask(client, "[[offline call=2]]", tools=TOOLS, tool_choice="none").choices[0]
    single = ask(client, "[[offline call=2]]", tools=TOOLS, parallel_tool_calls=False).choices[0]

    assert none.message.tool_calls is None
    assert len(single.message.tool_calls) == 1


def test_log_probabilities_are_well_formed(client):
    """They fit the tokens and each other: negative, the token is the likeliest, and all add up to less than 1."""
    whole = ask(client, '[[offline say="über zwei"]]', logprobs=True, top_logprobs=3).choices[0]
    chunks = ask(client, '[[offline say="über zwei"]]', logprobs=True, top_logprobs=3, stream=True)

    entries = whole.logprobs.content
    assert "".join(entry.token for entry in entries) == whole.message.content
    assert bytes(entries[0].bytes).decode() == entries[0].token
    for entry in entries:
        tops = [top.logprob for top in entry.top_logprobs]
        assert (len(tops), tops[0], entry.top_logprobs[0].token) == (3, entry.logprob, entry.token)
        assert tops == sorted(tops, reverse=True)
        assert sum(map(math.exp, tops)) < 1
        assert len({top.token for top in entry.top_logprobs}) == 3
    streamed = [
        entry for chunk in chunks for choice in chunk.choices if choice.logprobs for entry in choice.logprobs.content
    ]
    assert streamed == entries


def test_a_response_has_log_probabilities_if_they_are_included(client):
    """As OpenAI does, in the final text and in each delta."""
    asked = {"input": "[[offline tokens=2]]", "include": ["message.output_text.logprobs"], "top_logprobs": 2}
    part = client.responses.create(model="m", **asked).output[0].content[0]
    events = list(client.responses.create(model="m", stream=True, **asked))

    deltas = [event.logprobs[0].token for event in events if event.type == "response.output_text.delta"]
    assert [entry.token for entry in part.logprobs] == deltas == ["w0", " w1"]
    assert len(part.logprobs[0].top_logprobs) == 2
    assert client.responses.create(model="m", input="hi").output[0].content[0].logprobs == []


def test_a_json_object_is_answered_with_one(client):
    """In both APIs, if the messages mention JSON as OpenAI demands."""
    text = ask(client, "Answer in JSON", response_format={"type": "json_object"}).choices[0].message.content
    response = client.responses.create(model="m", input="Answer in JSON", text={"format": {"type": "json_object"}})

    assert "no language model" in json.loads(text)["answer"]
    assert isinstance(json.loads(response.output_text), dict)


TEXTS = {"a": {"type": "string", "minLength": 20}, "b": {"type": "integer", "minimum": 5}}
NEXT = {"next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}
KIDS = {"kids": {"type": "array", "items": {"$ref": "#/$defs/n"}}}
NAMED = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
COUNTED = {"properties": {"b": {"type": "number", "exclusiveMinimum": 1.5}}, "required": ["b"]}
FORMATS = {"d": {"type": "string", "format": "date-time"}, "u": {"type": "string", "format": "uuid"}}
SCHEMAS = [
    {"type": "object", "properties": TEXTS, "required": ["a", "b"]},
    {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": NEXT, "required": ["next"]}}},
    {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": KIDS, "required": ["kids"]}}},
    {"allOf": [NAMED, COUNTED]},
    {"oneOf": [{"properties": {"k": {"const": name}}, "required": ["k"]} for name in "ab"]},
    {"type": "array", "items": {"type": "integer", "multipleOf": 7}, "minItems": 3},
    {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": ["null", "string"]}], "items": False},
    {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}(foo|bar)?$"},
    {"type": "string", "pattern": "^[^@]+@[^@]+\\.[a-z]{2,}$", "minLength": 12},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"patternProperties": {"^x": {"type": "integer"}}, "required": ["xa"], "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    {"type": "object", "properties": FORMATS},
    {"type": "string", "maxLength": 3},
    {"enum": [None, 5]},
    {"type": "null"},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_a_value_matches_its_schema(schema):
    """A program validates structured output, so a value that only looks like it is a failure."""
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    validator.validate(fake_value(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdef"}, "required": list("abcdef")},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}] * 9}]},
        {"type": "string", "pattern": "((a{999}){999}){999}"},
        {"type": "string", "pattern": "("},
    ],
    ids=str,
)
def test_a_schema_without_a_finite_value_takes_no_time(schema):
    """It must not stop the server, which has one event loop."""
    json.dumps(fake_value(schema))


def test_an_answer_matches_the_schema_of_the_request(client):
    """Streamed or not, in both APIs."""
    schema = SCHEMAS[0]
    chat_format = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    text_format = {"format": {"type": "json_schema", "name": "s", "schema": schema}}
    texts = [
        ask(client, "hi", response_format=chat_format).choices[0].message.content,
        client.responses.create(model="m", input="hi", text=text_format).output_text,
    ]

    for text in texts:
        jsonschema.validate(json.loads(text), schema)


def test_text_completions_are_answered(client):
    """Texts and tokens, several prompts with several choices each, in order."""
    single = client.completions.create(model="m", prompt="[[offline tokens=9]]", max_tokens=2)
    many = client.completions.create(model="m", prompt=["[[offline tokens=2]]", "b"], n=2, max_tokens=5)
    tokens = client.completions.create(model="m", prompt=[[1, 2, 3], [4]])

    assert (single.object, single.choices[0].text, single.choices[0].finish_reason) == (
        "text_completion",
        "w0 w1",
        "length",
    )
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    assert many.usage.completion_tokens == 8
    assert (len(tokens.choices), tokens.usage.prompt_tokens) == (2, 4)
    assert client.completions.create(model="m", prompt="hi", n=1, best_of=3, max_tokens=2).usage.completion_tokens == 6


def test_an_echoed_prompt_has_log_probabilities(client):
    """Evaluation programs compute the likelihood of a prompt from them. The first token has none."""
    choice = client.completions.create(model="m", prompt=[5, 6, 7], echo=True, logprobs=2, max_tokens=1).choices[0]
    only_prompt = client.completions.create(model="m", prompt="a b", echo=True, logprobs=1, max_tokens=0).choices[0]

    logprobs = choice.logprobs
    assert "".join(logprobs.tokens) == choice.text
    assert choice.text.startswith("5 6 7")
    assert logprobs.token_logprobs[0] is logprobs.top_logprobs[0] is None
    assert [
        choice.text[offset:][: len(token)] for offset, token in zip(logprobs.text_offset, logprobs.tokens, strict=True)
    ] == logprobs.tokens
    assert logprobs.token_logprobs[1] == max(logprobs.top_logprobs[1].values()) < 0
    assert (only_prompt.text, only_prompt.finish_reason, len(only_prompt.logprobs.tokens)) == ("a b", "length", 2)


def test_a_streamed_text_completion_adds_up_to_the_whole_one(client):
    """With echo, log-probabilities and several choices."""
    asked = {"model": "m", "prompt": ["a [[offline tokens=3]]", "b"], "n": 2, "echo": True, "logprobs": 1}
    whole = client.completions.create(**asked)
    *chunks, last = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})

    for expected in whole.choices:
        own = [choice for chunk in chunks for choice in chunk.choices if choice.index == expected.index]
        assert "".join(choice.text for choice in own) == expected.text
        assert own[-1].finish_reason == expected.finish_reason
        joined = [offset for choice in own if choice.logprobs for offset in choice.logprobs.text_offset]
        assert joined == expected.logprobs.text_offset
    assert last.usage == whole.usage


STREAM = chat(stream=True)


def prompt(words):
    return [{"role": "user", "content": f"[[offline tokens=3 {words}]]"}]


@pytest.mark.parametrize(
    ("framing", "content_type"),
    [
        ("whole", "application/json"),
        ("lines", "application/x-ndjson"),
        ("plain", "text/plain"),
        ("json", "application/json"),
        ("crlf", "text/event-stream"),
        ("comments", "text/event-stream"),
        ("split", "text/event-stream"),
        ("unended", "text/event-stream"),
        ("nodone", "text/event-stream"),
        ("nofinish", "text/event-stream"),
    ],
)
def test_a_stream_is_framed_as_the_prompt_asks(port, framing, content_type):
    """Each form contains the whole answer, and differs from the usual form."""
    status, headers, text = send(port, CHAT, STREAM | {"messages": prompt(f"framing={framing}")})
    usual = send(port, CHAT, STREAM | {"messages": prompt("")})[2]

    assert (status, headers.get_content_type()) == (200, content_type)
    assert all(f'"{word}"'.encode() in text for word in ("w0", " w1", " w2")) or b'"w0 w1 w2"' in text
    assert (b"[DONE]" in text) == (framing not in ("whole", "lines", "nodone"))
    assert (b'"finish_reason":"stop"' in text) == (framing != "nofinish")
    assert (len(text) != len(usual)) == (framing not in ("plain", "json", "split"))


def test_a_stream_can_be_reset_broken_or_end_with_an_error(port, client):
    """The tokens before the fault arrive, and the client's own error is the one of a real network."""
    with pytest.raises(openai.APIError) as reported:
        list(ask(client, "[[offline tokens=3 error=1 code=overloaded]]", stream=True))
    assert reported.value.code == "overloaded"
    assert b"overloaded" in send(port, CHAT, chat(messages=prompt("error=0 code=overloaded")))[2]
    for words, error in (("reset=2", ConnectionResetError), ("badchunk=2", http.client.IncompleteRead)):
        with pytest.raises((error, http.client.IncompleteRead)):
            send(port, CHAT, STREAM | {"messages": prompt(f"{words} interval=0.01")})
