"""Names for JSON whose shape is only partly known: providers and clients send more fields than the SDK defines."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
Item: TypeAlias = Mapping[str, Any]  # of a response's input or output; the SDK's typed dictionaries fit
Part: TypeAlias = Mapping[str, Any]  # of an item's or a message's content
EventObject: TypeAlias = dict[str, Any]  # an event of a response's stream
ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
TextKind: TypeAlias = Literal["output_text", "refusal", "reasoning_text"]
