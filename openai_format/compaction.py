"""A compacted conversation: a summary in place of its earlier items.

OpenAI's compaction item is opaque to the client, which sends it back with its next request. Ours contains a summary
that the model wrote. It is encoded and not encrypted: the client could read the conversation before it was compacted.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Final

from openai_format.items import new_id
from openai_format.types import Item, JsonObject

COMPACTION: Final = "compaction"  # the type of the item
_PREFIX: Final = "chatqueue-summary-1:"
_INTRODUCTION: Final = "A summary of the conversation before this message, written by the assistant:\n\n"

SUMMARY_REQUEST: Final[JsonObject] = {
    "role": "user",
    "content": "Summarize this conversation for an assistant who will continue it and sees only the messages of the "
    "user and your summary. Keep every fact, decision, name, number, identifier, path and open task that may matter, "
    "and the results of tools. Do not continue the conversation, and do not call tools. Write only the summary.",
}


def compaction_item(summary: str) -> JsonObject:
    encoded = base64.urlsafe_b64encode(summary.encode()).decode()
    return {"id": new_id("cmp"), "type": COMPACTION, "encrypted_content": _PREFIX + encoded}


def with_summaries(items: Iterable[Item]) -> list[Item]:
    """The items with the summaries of our own compactions as messages. Compactions of a provider stay as they are."""
    return [_summary_message(item) or item for item in items]


def _summary_message(item: Item) -> JsonObject | None:
    content = item.get("encrypted_content") if isinstance(item, Mapping) and item.get("type") == COMPACTION else None
    if not isinstance(content, str) or not content.startswith(_PREFIX):
        return None
    try:
        summary = base64.b64decode(content.removeprefix(_PREFIX), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return {"type": "message", "role": "user", "content": _INTRODUCTION + summary}
