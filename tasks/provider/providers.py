"""The providers of this deployment: each call goes to a target, with the provider's own name for the model."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Protocol, TypeVar

from jobs.errors import ModelNotFound, ProviderRejected, UnsupportedFeature
from jobs.kinds.base import Conversation, JobRequest
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.place import model_of
from jobs.providers import MAIN_PROVIDER, split_target
from jobs.settings import Settings
from tasks.provider.client import Observe, Provider, ignore_rate_limits
from tasks.provider.formats.delta import Delta
from tasks.provider.rate_limit_headers import RateLimitObserver
from tasks.provider.timeouts import Timeouts

RequestT = TypeVar("RequestT", bound=JobRequest)


class ModelCalls(Protocol):
    """Calls to models.

    ``target``: '' for the first target of the request's own model. That one is also called instead of a target that
    cannot serve the request, or whose provider is unknown: another process may have read another providers file.
    """

    def chat(self, request: Conversation, timeouts: Timeouts, target: str = "") -> AsyncGenerator[Delta, None]: ...
    async def embed(self, request: EmbeddingsTask, timeouts: Timeouts, target: str = "") -> EmbeddingsAnswer: ...


class Providers:
    """The clients of a worker process, one for each provider, built at the first call to it. Has the ModelCalls.

    A call raises what Provider raises, and ProviderRejected if the providers file has no target for the request.
    """

    def __init__(self, settings: Settings, observer: RateLimitObserver | None = None) -> None:
        self._settings = settings
        self._observer = observer
        self._clients: dict[str, Provider] = {}

    def chat(self, request: Conversation, timeouts: Timeouts, target: str = "") -> AsyncGenerator[Delta, None]:
        """Stream an answer. See Provider.chat."""
        client, bound_request, observe = self._bind(request, target)
        return client.chat(bound_request, timeouts, observe)

    async def embed(self, request: EmbeddingsTask, timeouts: Timeouts, target: str = "") -> EmbeddingsAnswer:
        """Turn texts into vectors, in order."""
        client, bound_request, observe = self._bind(request, target)
        return await client.embed(bound_request, timeouts, observe)

    async def models(self) -> list[object]:
        """The models of the provider of a deployment without a providers file, not validated."""
        return await self._client(MAIN_PROVIDER).models()

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    def _bind(self, request: RequestT, target: str) -> tuple[Provider, RequestT, Observe]:
        """The client of the target, the request with the provider's own name of the model, and the observer."""
        if not self._settings.providers.can_serve(target, request.needs_responses_api):
            target = self._first_target(request)
        provider, model = split_target(target)
        observe = ignore_rate_limits if self._observer is None else partial(self._observer.observe, target)
        return self._client(provider), request.model_copy(update={"model": model}), observe

    def _first_target(self, request: JobRequest) -> str:
        registry = self._settings.providers
        try:
            return registry.targets_of(model_of(request, self._settings) or "", request.needs_responses_api)[0]
        except (ModelNotFound, UnsupportedFeature):
            message = "the providers file of this worker has no target for the request"
            raise ProviderRejected(message, code="provider_not_found") from None

    def _client(self, provider: str) -> Provider:
        client = self._clients.get(provider)
        if client is None:
            registry = self._settings.providers
            client = Provider(registry.providers[provider], registry.api_key_of(provider), self._settings)
            self._clients[provider] = client
        return client
