"""A real worker with a providers file: jobs reach the provider of their model, under the provider's own name."""

import sys

import pytest

from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.settings import Settings
from tasks.submit import Submitter
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.tasks.conftest import SHORT, Client

FILE = """
[providers.chats]
base_url = "{chats}"
api_key_env = "KEY_OF_CHATS"
speaks = "chat"
[providers.answers]
base_url = "{answers}"
[models.small]
targets = [{{provider = "chats", model = "small-2026"}}]
[models.both]
targets = [{{provider = "chats", model = "both-chat"}}, {{provider = "answers", model = "both-responses"}}]
[models.vectors]
targets = [{{provider = "answers", model = "e5"}}]
[aliases]
fast = "small"
"""
WORKER = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "DEBUG"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory, redis_url, model_url, responses_model_url):
    path = tmp_path_factory.mktemp("providers") / "providers.toml"
    path.write_text(FILE.format(chats=model_url, answers=responses_model_url))
    names = {"PROVIDERS_FILE": str(path), "CHAT_MODEL": "fast", "EMBEDDING_MODEL": "vectors"}
    return {f"CHATQUEUE_{name}": value for name, value in names.items()} | {"REDIS_URL": redis_url, **SHORT}


@pytest.fixture(scope="module")
def worker(environment, processes):
    with running(WORKER, ready=" ready.", env=environment | {"KEY_OF_CHATS": "sk-canary-key"}) as process:
        yield process


@pytest.fixture
def settings(environment):
    return Settings(
        REDIS_URL=environment["REDIS_URL"],
        providers_file=environment["CHATQUEUE_PROVIDERS_FILE"],
        chat_model="fast",
        embedding_model="vectors",
    )


@pytest.fixture
def submitter(store, settings):
    return Submitter(store, settings)


@pytest.mark.parametrize(
    ("model", "sent"), [("fast", "small-2026"), ("small", "small-2026"), (None, "small-2026"), ("both", "both-chat")]
)
def test_a_job_is_answered_by_the_first_target_of_its_model(
    worker, store, settings, submitter, model_url, responses_model_url, model, sent
):
    """The record keeps the name that the caller has used; the answer has that of the provider."""
    name = key()
    client = Client(store, settings)

    job_id = submitter.submit(ChatTask(kind="chat", message=directive("say=hi", name), model=model)).job_id
    record = client.ended(job_id)

    assert client.outcome(job_id)[0].text == "hi"
    assert client.outcome(job_id)[0].model == sent
    assert (calls(model_url, name)["calls"], calls(responses_model_url, name)["calls"]) == (1, 0)
    assert record.state.value == "completed"


def test_embeddings_reach_the_provider_of_their_model(worker, store, settings, submitter, responses_model_url):
    """Chats and embeddings may have different providers."""
    name = key()
    client = Client(store, settings)

    job_id = submitter.submit(EmbeddingsTask(kind="embeddings", input=(directive("say=hi", name),))).job_id
    client.ended(job_id)

    assert client.outcome(job_id)[0].model == "e5"
    assert calls(responses_model_url, name)["calls"] == 1


def test_no_worker_asks_the_providers_for_their_models(worker, store, model_url):
    """The file lists the models."""
    assert "model_list_failed" not in worker.output


def test_a_worker_without_a_key_of_the_file_does_not_start(environment, processes):
    """It names the provider, and its exit code tells a supervisor."""
    with running(WORKER, ready="CHATQUEUE_PROVIDERS_FILE: the variables named by", env=environment) as process:
        assert process.wait(20) != 0
        assert "providers.chats.api_key_env" in process.output
