"""The verbs of the catalogue: who asks the provider for its models, and what it has said."""

import json
from typing import Any, Final

from jobs.storage import keys
from jobs.storage.commands import Command, plain_command

_TTL_SECONDS: Final = 86_400  # beyond any outage of a provider that is still in use


def claim_model_list_turn(worker: str, for_seconds: int) -> Command[bool]:
    """Answers whether it is this worker's turn to ask; nobody else's is for as long."""
    return plain_command("SET", keys.MODELS_TURN, worker, "NX", "EX", for_seconds, read=lambda reply: reply is not None)


def save_models(models: list[dict[str, Any]]) -> Command[None]:
    """Safe to send again."""
    return plain_command("SET", keys.MODELS, json.dumps(models), "EX", _TTL_SECONDS, read=lambda _: None)
