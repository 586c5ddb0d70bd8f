"""Items of earlier responses, to which a request refers by id instead of sending them again.

OpenAI resolves `item_reference` from its own store. Here the ids of a stored response's items are remembered when the
response is delivered, and a reference is replaced by the item before the request becomes a job. So it works with any
provider.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from api.openai.encoding import items
from api.openai.errors import ItemNotFound
from api.openai.snapshot import find_snapshot
from api.services import CallerServices
from jobs.errors import JobNotFound, RequestUnreadable, StoreUnavailable
from jobs.tenant_store import TenantStore
from openai_format.types import JsonObject

_REFERENCE: Final = "item_reference"
_STATES_WITH_ANSWER: Final = frozenset({"completed", "incomplete"})


def remember_items(app_services: CallerServices, response: JsonObject) -> None:
    """Remember which job the items of a final, stored response belong to. An outage of Redis is ignored."""
    if response["store"] is False or response["status"] not in _STATES_WITH_ANSWER:
        return
    ttl_seconds = app_services.settings.result_ttl_seconds
    places = {
        item["id"]: f"{response['id']} {position}"
        for position, item in enumerate(response["output"])
        if isinstance(item.get("id"), str)
    }
    with suppress(StoreUnavailable):
        app_services.store.remember_items(places, ttl_seconds)


def resolve_references(store: TenantStore, value: Any) -> Any:
    """The request's input with the items in place of the references. Raises ItemNotFound and StoreUnavailable."""
    if not isinstance(value, list) or not any(map(_is_reference, value)):
        return value
    ids = list(dict.fromkeys(item["id"] for item in value if _is_reference(item)))
    places = store.places_of_items(ids)
    found = dict(zip(ids, _find_items(store, ids, places), strict=True))
    replaced = (found[item["id"]] if _is_reference(item) else item for item in value)
    return [item for item in replaced if item is not None]


def _is_reference(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    return item.get("type") == _REFERENCE or (item.get("type") is None and item.keys() <= {"id", "type"})


def _find_items(
    store: TenantStore, ids: list[str], places: Iterable[tuple[str, int] | None]
) -> Iterable[JsonObject | None]:
    """Each item in the form of an input; None for reasoning that nobody can use. Raises ItemNotFound."""
    outputs: dict[str, list[JsonObject]] = {}
    for item_id, place in zip(ids, places, strict=True):
        if place is None:
            raise ItemNotFound.of(item_id)
        job_id, position = place
        if job_id not in outputs:
            outputs[job_id] = _output(store, job_id, item_id)
        output = outputs[job_id]
        same = [item for item in output if item.get("id") == item_id] or output[position : position + 1]
        if not same:
            raise ItemNotFound.of(item_id)
        yield items.to_input_item(same[0])


def _output(store: TenantStore, job_id: str, item_id: str) -> list[JsonObject]:
    try:
        return items.output(find_snapshot(store, job_id))
    except (JobNotFound, RequestUnreadable):
        raise ItemNotFound.of(item_id) from None
