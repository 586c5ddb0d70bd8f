"""Several providers: each call reaches the server of its target, with that server's key and its name of the model."""

import asyncio
from contextlib import aclosing

import pytest

from jobs.errors import AttemptError, ProviderRejected
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings, get_settings
from tasks.provider.providers import Providers
from tasks.provider.quarantine import Quarantine
from tasks.provider.timeouts import Timeouts
from tests.support.answering_server import answer_chat, answer_embeddings, answering_server

TIMEOUTS = Timeouts(total=30, first_token=30, idle=30)
LIMIT = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1s"}
CHAT = ChatTask(kind="chat", message="hi", model="fast")
EMBEDDINGS = EmbeddingsTask(kind="embeddings", input=("a",))
FILE = """
[providers.one]
base_url = "{one}"
api_key_env = "KEY_OF_ONE"
[providers.two]
base_url = "{two}"
[models.small]
targets = [{{provider = "one", model = "small-2026"}}, {{provider = "two", model = "org/small"}}]
[models.vectors]
targets = [{{provider = "two", model = "e5"}}]
[aliases]
fast = "small"
"""


@pytest.fixture(scope="module")
def servers():
    with answering_server() as one, answering_server() as two:
        yield one, two


@pytest.fixture
def one(servers):
    servers[0].received.clear()
    servers[0].reply = answer_chat()
    return servers[0]


@pytest.fixture
def two(servers):
    servers[1].received.clear()
    servers[1].reply = answer_chat()
    return servers[1]


@pytest.fixture
def settings(one, two, tmp_path, monkeypatch):
    path = tmp_path / "providers.toml"
    path.write_text(FILE.format(one=one.url, two=two.url))
    monkeypatch.setenv("KEY_OF_ONE", "sk-one")
    return Settings(providers_file=path, chat_model="small", embedding_model="vectors")


class Observations(list):
    def observe(self, target, limits):
        self.append((target, limits.requests.per_minute()))


def call(settings, *requests, target="", observer=None, provider=None):
    """Make calls one after the other with one Providers; the text of each answer, or its error."""

    async def make(calls, request):
        try:
            if isinstance(request, EmbeddingsTask):
                return await calls.embed(request, TIMEOUTS, target)
            async with aclosing(calls.chat(request, TIMEOUTS, target)) as deltas:
                return "".join([delta.text async for delta in deltas])
        except AttemptError as error:
            return error

    async def run():
        providers = Providers(settings, observer)
        try:
            return [await make(provider or providers, request) for request in requests]
        finally:
            await providers.close()

    return asyncio.run(run())


@pytest.mark.parametrize("target", ["one/small-2026", "two/org/small"])
def test_a_call_goes_to_its_target_with_the_providers_own_name_of_the_model(settings, one, two, target):
    """The caller's name of the model is not known to any provider."""
    assert call(settings, CHAT, target=target) == ["hello"]

    (received,) = one.received + two.received
    assert received.body["model"] == target.partition("/")[2]
    assert received.key == ("sk-one" if target.startswith("one") else "none")
    assert [len(one.received), len(two.received)] == ([1, 0] if target.startswith("one") else [0, 1])


def test_a_call_without_a_target_goes_to_the_first_target_of_its_model(settings, one, two):
    """So does a job of the version before, and a call that a job makes beside its own."""
    two.reply = answer_embeddings()

    call(settings, CHAT, ChatTask(kind="chat", message="hi"), EMBEDDINGS)

    assert [received.body["model"] for received in one.received] == ["small-2026", "small-2026"]
    assert [(received.path, received.body["model"]) for received in two.received] == [("/v1/embeddings", "e5")]


def test_no_field_of_a_request_selects_another_model(settings, two):
    """The file decides which models are called. Fields that are forwarded unchanged do not override it."""
    two.reply = answer_embeddings()
    sneaky = EmbeddingsTask(
        kind="embeddings", input=("a",), extra_body={"model": "costly", "input": "other", "user": "u"}
    )

    call(settings, sneaky, target="two/e5")

    body = two.received[0].body
    assert (body["model"], body["input"], body["user"]) == ("e5", ["a"], "u")


def test_a_target_of_an_unknown_provider_is_replaced_by_the_first_target(settings, one):
    """Another process may have read another file. The job need not suffer."""
    assert call(settings, CHAT, target="gone/m") == ["hello"]
    assert one.received[0].body["model"] == "small-2026"


def test_a_target_of_chat_completions_is_replaced_if_the_request_needs_responses(settings, one, two):
    """The request would be rejected there."""
    path = settings.providers_file
    path.write_text(path.read_text().replace('api_key_env = "KEY_OF_ONE"', 'speaks = "chat"'))
    request = ResponseTask(kind="response", body={"input": "hi"}, model="small", responses_only=True)
    other = Settings(providers_file=path, chat_model="small", embedding_model="vectors")

    call(other, request, target="one/small-2026")
    call(other, request.model_copy(update={"responses_only": False}), target="one/small-2026")

    assert [(received.path, received.body["model"]) for received in two.received] == [("/v1/responses", "org/small")]
    assert [received.path for received in one.received] == ["/v1/chat/completions"]


def test_a_model_that_the_file_no_longer_lists_ends_the_attempt(settings):
    """It was accepted before the file was changed."""
    (error,) = call(settings, ChatTask(kind="chat", message="hi", model="gone"))

    assert (type(error), error.code, error.fault) == (ProviderRejected, "provider_not_found", None)


def test_the_limits_of_each_response_are_observed(settings, one, two):
    """Those of answers and of refusals, of chats and of embeddings, under the name of the target."""
    observations = Observations()
    one.reply = answer_chat(**LIMIT)
    two.reply = answer_embeddings(**LIMIT)
    call(settings, CHAT, EMBEDDINGS, observer=observations)
    one.reply = two.reply = 429, LIMIT, b"{}"
    call(settings, CHAT, EMBEDDINGS, observer=observations)

    assert observations == [("one/small-2026", 60), ("two/e5", 60)] * 2


def test_a_response_without_limits_is_not_observed(settings, one):
    """Most self-hosted servers report none."""
    observations = Observations()

    assert call(settings, CHAT, observer=observations) == ["hello"]
    assert observations == []


def test_the_api_of_each_provider_is_detected_on_its_own(settings, one, two):
    """A provider without /responses does not keep another one from being called there."""
    request = ResponseTask(kind="response", body={"input": "hi"}, model="small")
    one.reply = 404, {}, b""
    call(settings, request, target="one/small-2026")
    call(settings, request, target="two/org/small")

    assert [received.path for received in one.received] == ["/v1/responses", "/v1/chat/completions"]
    assert two.received[0].path == "/v1/responses"


@pytest.mark.slow
def test_a_call_in_quarantine_goes_to_its_target(settings, two, monkeypatch):
    """The child process reads the same file."""
    environment = {"PROVIDERS_FILE": str(settings.providers_file), "CHAT_MODEL": "small", "EMBEDDING_MODEL": "vectors"}
    for name, value in environment.items():
        monkeypatch.setenv(f"CHATQUEUE_{name}", value)
    get_settings.cache_clear()

    assert call(settings, CHAT, target="two/org/small", provider=Quarantine(1)) == ["hello"]
    assert two.received[0].body["model"] == "org/small"
    get_settings.cache_clear()
