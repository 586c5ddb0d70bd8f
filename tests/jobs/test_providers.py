"""Providers, models, aliases and targets: what a providers file allows, and what is read without one."""

import re

import pytest

from jobs.errors import ModelNotFound, UnsupportedFeature
from jobs.folders import PROJECT_ROOT
from jobs.providers import NO_API_KEY, split_target
from jobs.settings import Settings

FILE = """
[providers.openai]
base_url = "https://api.openai.com/v1"
api_key_env = "OPENAI_API_KEY"
tokens_per_minute = 1000000

[providers.vllm]
base_url = "http://10.0.0.5:8000/v1"
speaks = "chat"
concurrency = 64
count = "used"

[models."gpt-5-mini"]
targets = [
    {provider = "openai", model = "gpt-5-mini", requests_per_minute = 500},
    {provider = "vllm", model = "Qwen/Qwen3-32B"},
]
price = {input = 0.25, cached_input = 0.025, output = 2.0}

[models.local]
targets = [{provider = "vllm", model = "Qwen/Qwen3-32B"}]

[aliases]
fast = "gpt-5-mini"
"""


@pytest.fixture
def settings_of(tmp_path, monkeypatch):
    """Settings with a providers file of this content."""

    def build(content: str = FILE, **values) -> Settings:
        path = tmp_path / "providers.toml"
        path.write_text(content)
        return Settings(providers_file=path, **values)

    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    return build


def test_without_a_file_every_model_is_a_pool_of_the_main_provider():
    """A deployment with one provider needs no file, and each model is allowed."""
    registry = Settings(OPENAI_BASE_URL="http://p/v1", OPENAI_API_KEY="sk-1").providers

    assert registry.pool_of("any/model") == "any/model"
    assert registry.targets_of("any/model", needs_responses=True) == ("main/any/model",)
    assert split_target("main/any/model") == ("main", "any/model")
    assert registry.model_names is None
    assert registry.providers["main"].base_url == "http://p/v1"
    assert registry.api_key_of("main").get_secret_value() == "sk-1"


def test_without_a_file_the_limits_are_those_of_the_main_provider():
    """They hold for all models together, because a target's name is not known before its first job."""
    settings = Settings(provider_requests_per_minute=60, provider_concurrency=5, provider_token_count="used")
    (limits,) = settings.providers.limits_of().values()

    assert (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency) == (60, None, 5)
    assert limits.count == "used"
    assert Settings().providers.limits_of()["main"].count == "reserved"


def test_without_any_provider_the_offline_model_is_called():
    """Neither key nor URL is needed to try chatqueue; the SDK gets a stand-in for a key."""
    registry = Settings(OPENAI_API_KEY=None, OPENAI_BASE_URL=None, offline_model_port=1234).providers

    assert registry.providers["main"].base_url == "http://127.0.0.1:1234/v1"
    assert registry.api_key_of("main").get_secret_value() == NO_API_KEY


def test_a_name_is_resolved_to_its_pool_and_its_targets_in_order(settings_of):
    """An alias and its model wait in the same pool. The file's order is the order of preference."""
    registry = settings_of().providers

    assert registry.pool_of("fast") == registry.pool_of("gpt-5-mini") == "gpt-5-mini"
    assert registry.targets_of("gpt-5-mini") == ("openai/gpt-5-mini", "vllm/Qwen/Qwen3-32B")
    assert registry.model_names == ("gpt-5-mini", "local", "fast")
    assert str(registry.models["gpt-5-mini"].price.cached_input) == "0.025"


def test_a_name_that_the_file_does_not_list_is_not_found(settings_of):
    """The error is OpenAI's own, and does not repeat the caller's text."""
    with pytest.raises(ModelNotFound) as missing:
        settings_of().providers.pool_of("canary-model")

    assert (missing.value.code, missing.value.http_status, missing.value.param) == ("model_not_found", 404, "model")
    assert "canary" not in missing.value.message


def test_a_request_that_needs_responses_skips_targets_of_chat_completions(settings_of):
    """If no target is left, the caller is told when it submits the request."""
    registry = settings_of().providers

    assert registry.targets_of("gpt-5-mini", needs_responses=True) == ("openai/gpt-5-mini",)
    assert registry.has_chat_only_target("local")
    with pytest.raises(UnsupportedFeature) as refused:
        registry.targets_of("local", needs_responses=True)
    assert (refused.value.code, refused.value.http_status) == ("unsupported_feature", 400)


def test_limits_are_listed_by_provider_and_by_target(settings_of):
    """A target without a way of counting tokens counts as its provider does."""
    limits = settings_of().providers.limits_of()

    assert set(limits) == {"openai", "vllm", "openai/gpt-5-mini", "vllm/Qwen/Qwen3-32B"}
    assert limits["openai"].tokens_per_minute == 1_000_000
    assert limits["openai/gpt-5-mini"].requests_per_minute == 500
    assert limits["vllm/Qwen/Qwen3-32B"].concurrency is None
    assert (limits["openai/gpt-5-mini"].count, limits["vllm/Qwen/Qwen3-32B"].count) == ("reserved", "used")


def test_a_key_is_read_from_the_variable_that_the_file_names(settings_of, monkeypatch):
    """The file holds no secret, and no repr shows one. A provider without a key gets the stand-in."""
    settings = settings_of()

    assert settings.providers.api_key_of("openai").get_secret_value() == "sk-canary"
    assert settings.providers.api_key_of("vllm").get_secret_value() == NO_API_KEY
    assert "canary" not in repr(settings) + repr(settings.providers)


def test_a_missing_key_is_an_error_for_workers_only(settings_of, monkeypatch):
    """The web process starts without keys. A worker names the provider whose key is missing."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    settings = settings_of()

    with pytest.raises(ValueError, match=r"providers\.openai\.api_key_env"):
        settings.providers.check_api_keys()


def test_with_a_file_no_offline_model_is_started(settings_of, monkeypatch):
    """`make up` starts the offline model only where no provider is set."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert not settings_of().has_offline_model


def test_the_example_of_the_documentation_is_a_providers_file(settings_of):
    """Operators copy it."""
    page = (PROJECT_ROOT / "docs" / "providers.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    registry = settings_of(example).providers

    assert registry.targets_of("gpt-5-mini") == ("openai/gpt-5-mini", "azure/my-deployment", "vllm/Qwen/Qwen3-32B")
    assert registry.pool_of("fast") == "gpt-5-mini"


@pytest.mark.parametrize(
    ("content", "in_error"),
    [
        ("[canary\n", "is not TOML (at line 1, column 8)"),
        ("a = canary\n", "is not TOML (at line 1, column 5)"),
        ("x = 1\n" + FILE, "x: unknown key; allowed: providers, models, aliases"),
        (FILE + "[providers.p]\nrpm = 5\n", "providers.p.rpm: unknown key; allowed: requests_per_minute, "),
        (FILE + "[providers.p]\napi_key = 'canary'\n", "providers.p.api_key: unknown key; allowed: "),
        (
            FILE + "[providers.p]\napi_key_env = 'sk-canary'\n",
            "providers.p.api_key_env: must be the name of a variable",
        ),
        (
            FILE + "[providers.p]\napi_key_env = 'gsk_canary'\n",
            "providers.p.api_key_env: must be the name of a variable",
        ),
        (FILE + "[providers.p]\nbase_url = 'canary.example'\n", "providers.p.base_url: must start with one of http://"),
        (
            FILE + "[providers.p]\nbase_url = 'http://me:canary@p'\n",
            "providers.p.base_url: must not contain a user name",
        ),
        (FILE + "[providers.p]\nspeaks = 'canary'\n", "providers.p.speaks: must be 'auto', 'responses' or 'chat'"),
        (FILE + "[providers.p]\nstreams = 'no'\n", "providers.p.streams: must be a valid boolean"),
        (FILE + "[providers.p]\nconcurrency = 0\n", "providers.p.concurrency: must be greater than or equal to 1"),
        (FILE + "[providers.p]\nconcurrency = true\n", "providers.p.concurrency: must be a valid integer"),
        (FILE + "[providers.p]\ncount = 'canary'\n", "providers.p.count: must be 'reserved' or 'used'"),
        (FILE + "[providers.'a/b']\n", "providers.a/b: must match pattern"),
        (FILE + "[models.m]\n", "models.m.targets: is required"),
        (FILE + "[models.m]\ntargets = []\n", "models.m.targets: must have at least 1 item"),
        (FILE + "[models.m]\ntargets = [{provider = 'openai'}]\n", "models.m.targets[0].model: is required"),
        (
            FILE + "[models.m]\ntargets = [{provider = 'nobody', model = 'm'}]\n",
            "models.m.targets[0].provider: unknown provider; known: openai, vllm",
        ),
        (
            FILE + "[models.m]\ntargets = [{provider = 'vllm', model = 'm'}, {provider = 'vllm', model = 'm'}]\n",
            "models.m.targets: vllm/m appears twice",
        ),
        (
            FILE + "[models.m]\ntargets = [{provider = 'openai', model = 'gpt-5-mini', requests_per_minute = 9}]\n",
            "models.m.targets[0]: openai/gpt-5-mini has other limits in another model",
        ),
        (FILE + "[models.m.price]\ninput = 1\n", "models.m.price.output: is required"),
        (FILE + "local = 'gpt-5-mini'\n", "aliases.local: is the name of a model"),
        (FILE + "x = 'fast'\n", "aliases.x: unknown model; known: gpt-5-mini, local"),
        ("[models.m]\ntargets = [{provider = 'p', model = 'm'}]\n", "providers: is required"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_what_is_allowed(settings_of, content, in_error):
    """The message gives the key and the remedy, and repeats no value: a value may be a key pasted by mistake."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # its text is compared below
        settings_of(content)

    assert in_error in str(refused.value)
    assert "CHATQUEUE_PROVIDERS_FILE" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """The message states why the file cannot be read."""
    with pytest.raises(ValueError, match=r"CHATQUEUE_PROVIDERS_FILE: cannot read the file \(No such file"):
        Settings(providers_file=tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("values", "in_error"),
    [
        ({"chat_model": "other"}, "CHATQUEUE_CHAT_MODEL"),
        ({"provider_requests_per_minute": 5}, "CHATQUEUE_PROVIDER_REQUESTS_PER_MINUTE"),
    ],
)
def test_settings_that_contradict_the_file_are_refused(settings_of, values, in_error):
    """A default model that does not exist would fail each chat, and an ignored limit would protect nothing."""
    with pytest.raises(ValueError, match=in_error):
        settings_of(**values)


def test_requests_that_skip_a_target_wait_apart_from_the_others(settings_of):
    """A Responses-only request at the head of a line would hold up those that a chat-only target could serve."""
    registry = settings_of().providers

    assert registry.waiting_pool_of("fast") == "gpt-5-mini"
    assert registry.waiting_pool_of("fast", needs_responses=True) == "gpt-5-mini (responses)"
    assert registry.routes() == {
        "gpt-5-mini": ("openai/gpt-5-mini", "vllm/Qwen/Qwen3-32B"),
        "gpt-5-mini (responses)": ("openai/gpt-5-mini",),
        "local": ("vllm/Qwen/Qwen3-32B",),
    }
