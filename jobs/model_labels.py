"""Which models have a name of their own in the metrics. Callers may ask for any model, and each name costs series."""

from typing import Final

from jobs.metrics import OTHER
from jobs.providers import RESPONSES_ONLY, split_target
from jobs.settings import Settings

_MAX_NAMES: Final = 50


class ModelLabels:
    """The models of the providers file or, without one, the default models."""

    def __init__(self, settings: Settings) -> None:
        registry = settings.providers
        names = registry.model_names or (settings.chat_model, settings.embedding_model)
        self._names = frozenset(sorted(names)[:_MAX_NAMES])
        self._targets = frozenset(target for name in self._names for target in registry.targets_of(name))

    def of(self, model: str | None) -> str:
        """The label of a model or pool; empty for a job without a model."""
        name = (model or "").removesuffix(RESPONSES_ONLY)
        return name if name in self._names or not name else OTHER

    def has_target(self, target: str) -> bool:
        """Whether a target, or a provider, has a name of its own."""
        return target in self._targets or not split_target(target)[1]
