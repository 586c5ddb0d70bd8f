"""Providers, the models that callers may use, and the targets that serve them.

    caller's name ──alias──> pool (a model of the file) ──> targets: a provider and its own name for the model

A pool is the public name of a model. Jobs wait by pool. A target is named ``{provider}/{upstream model}``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from jobs.base import FrozenModel
from jobs.errors import ModelNotFound, UnsupportedFeature
from jobs.http_url import HttpUrl
from jobs.model_name import ModelName

OPENAI_URL: Final = "https://api.openai.com/v1"
MAIN_PROVIDER: Final = "main"  # the only provider where there is no providers file
RESPONSES_ONLY: Final = " (responses)"  # ends the name of a pool whose requests skip chat-only targets
NO_API_KEY: Final = "none"  # sent where no key is configured, because the SDK requires one
_MAX_LIMIT: Final = 10**9

ProviderApi: TypeAlias = Literal["auto", "responses", "chat"]
TokenCount: TypeAlias = Literal["reserved", "used"]
Limit = Annotated[int, Field(ge=1, le=_MAX_LIMIT, strict=True)]
Dollars = Annotated[Decimal, Field(ge=0, le=_MAX_LIMIT)]
# Stands in target names, in Redis and in a response header.
ProviderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class ConfigModel(FrozenModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class CallLimits(ConfigModel):
    """Limits of one target or one provider. None: no limit is configured.

    ``count`` is how the provider counts tokens: ``reserved`` counts the maximum output of a request when it is
    accepted, ``used`` counts what the request has used when it ends.
    """

    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrency: Limit | None = None
    count: TokenCount | None = None  # None, of a target: as its provider


def _without_credentials(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("must not contain a user name or password; use api_key_env")
    return url


class ProviderConfig(CallLimits):
    """One OpenAI-compatible server, and the limits of the account there: all its targets share them."""

    base_url: Annotated[HttpUrl, AfterValidator(_without_credentials)] = OPENAI_URL
    # In capitals, so that a key pasted by mistake is refused, and never shown as the name of a variable.
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = None
    speaks: ProviderApi = "auto"
    streams: Annotated[bool, Field(strict=True)] = True  # whether answers are requested as streams


class TargetConfig(CallLimits):
    """A provider, its own name for the model, and the limits of that model there."""

    provider: ProviderName
    model: ModelName

    @property
    def name(self) -> str:
        return target_name(self.provider, self.model)


class Price(ConfigModel):
    """US dollars per million tokens."""

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None


class ModelConfig(ConfigModel):
    """A model that callers may use. ``targets`` are in order of preference."""

    targets: Annotated[tuple[TargetConfig, ...], Field(min_length=1)]
    price: Price | None = None


class ProvidersConfig(ConfigModel):
    """The content of a providers file."""

    providers: Annotated[Mapping[ProviderName, ProviderConfig], Field(min_length=1)]
    models: Annotated[Mapping[ModelName, ModelConfig], Field(min_length=1)]
    aliases: Mapping[ModelName, ModelName] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if problems := [*self._wrong_names(), *self._repeated_targets()]:
            raise ValueError("; ".join(problems))
        return self

    def _wrong_names(self) -> Iterator[str]:
        for place, target in self._targets():
            if target.provider not in self.providers:
                yield f"{place}.provider: unknown provider; known: {_join(self.providers)}"
        for alias, model in self.aliases.items():
            if alias in self.models:
                yield f"aliases.{alias}: is the name of a model"
            if model not in self.models:
                yield f"aliases.{alias}: unknown model; known: {_join(self.models)}"

    def _repeated_targets(self) -> Iterator[str]:
        """A target may serve several models, but it has one set of limits."""
        known: dict[str, TargetConfig] = {}
        for model, config in self.models.items():
            for name, count in Counter(target.name for target in config.targets).items():
                if count > 1:
                    yield f"models.{model}.targets: {name} appears twice"
        for place, target in self._targets():
            if known.setdefault(target.name, target) != target:
                yield f"{place}: {target.name} has other limits in another model; they must be the same"

    def _targets(self) -> Iterator[tuple[str, TargetConfig]]:
        for model, config in self.models.items():
            yield from ((f"models.{model}.targets[{i}]", target) for i, target in enumerate(config.targets))


@dataclass(frozen=True)
class ProviderRegistry:
    """What this deployment may call. Pure: opens nothing.

    ``models`` is None where any model is allowed: there is no providers file, and all models are at MAIN_PROVIDER.
    """

    providers: Mapping[str, ProviderConfig]
    api_keys: Mapping[str, SecretStr] = field(repr=False)  # by provider; without those that are not set
    models: Mapping[str, ModelConfig] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_names(self) -> tuple[str, ...] | None:
        """The names that callers may use, models first; None if any model is allowed."""
        return None if self.models is None else (*self.models, *self.aliases)

    def pool_of(self, model: str) -> str:
        """The pool of a name that a caller has used. Raises ModelNotFound if the providers file does not list it."""
        if self.models is None:
            return model
        pool = self.aliases.get(model, model)
        if pool not in self.models:
            raise ModelNotFound("this server does not offer the model; GET /v1/models lists the models", param="model")
        return pool

    def targets_of(self, pool: str, needs_responses: bool = False) -> tuple[str, ...]:
        """The names of the targets that can serve a request, in order of preference.

        Raises ModelNotFound, and UnsupportedFeature if the request ``needs_responses`` and all targets are limited to
        chat completions.
        """
        if self.models is None:
            return (target_name(MAIN_PROVIDER, pool),)
        targets = self.models[self.pool_of(pool)].targets
        able = tuple(target.name for target in targets if not (needs_responses and self._is_chat_only(target)))
        if not able:
            raise UnsupportedFeature(
                "the request has a part that chat completions cannot express, and this model has no target that "
                "supports /responses"
            )
        return able

    def waiting_pool_of(self, model: str, needs_responses: bool = False) -> str:
        """The pool in which a request waits. Raises what ``pool_of`` and ``targets_of`` raise.

        Requests that skip a target wait apart from the others, so that neither holds up the other.
        """
        pool = self.pool_of(model)
        able = self.targets_of(pool, needs_responses)  # raises, if no target can serve the request
        return pool if able == self.targets_of(pool) else pool + RESPONSES_ONLY

    def routes(self) -> Mapping[str, tuple[str, ...]]:
        """The targets of each pool in which requests wait; empty where any model is allowed."""
        found: dict[str, tuple[str, ...]] = {}
        for pool in self.models or {}:
            found[pool] = self.targets_of(pool)
            if able := tuple(filter(partial(self.can_serve, needs_responses=True), found[pool])):
                found[self.waiting_pool_of(pool, needs_responses=True)] = able
        return found

    def can_serve(self, target: str, needs_responses: bool = False) -> bool:
        """Whether the target's provider is known, and supports what the request needs."""
        provider = self.providers.get(split_target(target)[0])
        return provider is not None and not (needs_responses and provider.speaks == "chat")

    def has_chat_only_target(self, pool: str) -> bool:
        """Whether it matters if a request needs /responses, which costs time to find out."""
        return self.models is not None and any(map(self._is_chat_only, self.models[self.pool_of(pool)].targets))

    def limits_of(self) -> Mapping[str, CallLimits]:
        """The limits of each provider and each target, by name; ``count`` is always set.

        A target's name contains a slash, and a provider's never does. Without a providers file there are no targets:
        the limits are those of the provider, for all models together.
        """
        limits = {name: _limits(provider, provider) for name, provider in self.providers.items()}
        for model in (self.models or {}).values():
            limits |= {target.name: _limits(target, self.providers[target.provider]) for target in model.targets}
        return limits

    def check_api_keys(self) -> None:
        """Raises ValueError, which names each provider whose key is not set. Only a worker needs the keys."""
        missing = [name for name, config in self.providers.items() if config.api_key_env and name not in self.api_keys]
        if missing:
            places = _join(f"providers.{name}.api_key_env" for name in missing)
            raise ValueError(f"CHATQUEUE_PROVIDERS_FILE: the variables named by {places} are not set")

    def api_key_of(self, provider: str) -> SecretStr:
        return self.api_keys.get(provider, SecretStr(NO_API_KEY))

    def _is_chat_only(self, target: TargetConfig) -> bool:
        return self.providers[target.provider].speaks == "chat"


def target_name(provider: str, upstream_model: str) -> str:
    return f"{provider}/{upstream_model}"


def split_target(target: str) -> tuple[str, str]:
    """The provider's name, and the model's name there, which may contain slashes of its own."""
    provider, _, model = target.partition("/")
    return provider, model


def _limits(limits: CallLimits, provider: ProviderConfig) -> CallLimits:
    return CallLimits(
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        concurrency=limits.concurrency,
        count=limits.count or provider.count or "reserved",
    )


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
