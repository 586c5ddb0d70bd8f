"""Queries, headers and bodies of the native API. The fields of a submitted job are defined in jobs/requests.py."""

import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    ValidationError,
)

from documents.models import FileType
from jobs.document_tags import MAX_TAGS, Tags, split_tags
from jobs.documents import DocumentState, DocumentView
from jobs.kinds.chat import ChatRequest, ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.models import Lane
from jobs.requests import IntegralFloat, RequestModel
from jobs.states import State

MAX_IDS: Final = 1_000
MAX_WAIT_SECONDS: Final = 60
MAX_SEQUENCE_NUMBER: Final = 10**15
# Visible characters, bare or as a quoted string (draft-ietf-httpapi-idempotency-key-header); 1 to 255 of them.
_IDEMPOTENCY_KEY_PATTERN: Final = (
    r'^(?:[\x21\x23-\x7e][\x21-\x7e]{0,254}|"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}")$'
)
_PREFERRED_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)


class RequestParameters(BaseModel):
    """Query parameters or headers: parsed from strings. Unknown query parameters are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SubmitHeaders(RequestParameters):
    idempotency_key: Annotated[str, Field(pattern=_IDEMPOTENCY_KEY_PATTERN)] | None = Field(
        default=None,
        alias="Idempotency-Key",
        description="Requests with the same key and the same body share one job, even concurrent ones. "
        "With or without quotes.",
        examples=["order-4711"],
        repr=False,
    )
    priority: Lane | None = Field(
        default=None,
        alias="X-Priority",
        description="The lane of the job. By default `interactive`, or `batch` if the body has `service_tier: flex`.",
    )
    fair_key: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None,
        alias="X-Fair-Key",
        description="Your user, in any form. Jobs of different users start in turn. By default `safety_identifier` or "
        "`user` of the body.",
        repr=False,
    )

    @property
    def key(self) -> str | None:
        """The key without quotes and escapes."""
        raw_key = self.idempotency_key
        if raw_key is None or not raw_key.startswith('"'):
            return raw_key
        return re.sub(r"\\(.)", r"\1", raw_key[1:-1])


class WaitQuery(RequestParameters):
    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] | None = Field(
        default=None, description="Seconds to wait for the job to become final."
    )


class PollHeaders(RequestParameters):
    prefer: str | None = Field(
        default=None, alias="Prefer", description="`wait=N` has the same effect as the query parameter `wait`."
    )
    if_none_match: str | None = Field(
        default=None,
        alias="If-None-Match",
        description="The ETag of an earlier response. The response is 304 if it still matches.",
    )

    @property
    def wait_seconds(self) -> int | None:
        """The N of `Prefer: wait=N`, at most MAX_WAIT_SECONDS. A malformed preference is ignored."""
        match = _PREFERRED_WAIT.search(self.prefer or "")
        return min(int(match[1]), MAX_WAIT_SECONDS) if match else None


_IN_PLACE_OF_KEY: Final = "A token of `POST /api/v1/chat/jobs/{job_id}/token`, in place of an API key."


class ChatQuery(WaitQuery):
    token: str | None = Field(default=None, description=_IN_PLACE_OF_KEY, repr=False)


class EventsQuery(RequestParameters):
    token: str | None = Field(default=None, description=_IN_PLACE_OF_KEY, repr=False)
    starting_after: Annotated[int, Field(ge=0, le=MAX_SEQUENCE_NUMBER)] | None = Field(
        default=None, description="Send only events after this sequence number."
    )


class EventsHeaders(RequestParameters):
    last_event_id: Annotated[str, Field(pattern=r"^\d{1,15}$")] | None = Field(
        default=None,
        alias="Last-Event-ID",
        description="Send only events after this id. An EventSource sets it when it reconnects. "
        "It takes precedence over `starting_after`.",
    )


class _StreamOption(RequestModel):
    stream: bool = Field(default=False, description="Stream the job's events (text/event-stream).")


class SyncChat(ChatRequest, _StreamOption):
    """A chat call that waits for the answer."""

    on_disconnect: Literal["cancel", "continue"] | None = Field(
        default=None,
        description="What happens to the job if the client disconnects before the end. By default it is cancelled, "
        "or continues if the request has an Idempotency-Key, so that a retry can find it.",
    )

    def cancels_on_disconnect(self, headers: SubmitHeaders) -> bool:
        return self.on_disconnect == "cancel" or (self.on_disconnect is None and headers.key is None)


class AsyncChat(ChatRequest, _StreamOption):
    """A chat call whose answer is fetched later or streamed."""

    on_disconnect: Literal["cancel", "continue"] | None = Field(
        default=None,
        description="What happens to the job if the client of the stream disconnects before the end. "
        "By default it continues.",
    )


class TasksQuery(RequestParameters):
    ids: str | None = Field(
        default=None,
        description=f"Up to {MAX_IDS} task ids, separated by commas. Cannot be combined with `status` or `cursor`.",
    )
    status: State | None = Field(default=None, description="Return only tasks with this status.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Maximum number of entries per page.")
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{1,15}$")] | None = Field(
        default=None, description="The `next_cursor` of the previous page."
    )

    @property
    def id_list(self) -> list[str]:
        return [job_id for job_id in (self.ids or "").split(",") if job_id]


def _check_tag_list(text: str) -> str:
    try:
        _TAGS.validate_python(split_tags(text))
    except ValidationError:
        raise ValueError(f"must be at most {MAX_TAGS} tags of at most 64 characters, separated by commas") from None
    return text


_TAGS: Final = TypeAdapter(Tags)
_TagList = Annotated[str, AfterValidator(_check_tag_list)]


class UploadQuery(RequestParameters):
    filename: Annotated[str, Field(max_length=1_000)] | None = Field(
        default=None,
        description="Filename, if the file is the request body. A form carries its own filename.",
        repr=False,
    )
    tags: _TagList | None = Field(
        default=None,
        description=f"Tags of a new document, separated by commas; at most {MAX_TAGS}. A document that exists already "
        "keeps its own.",
    )


class DocumentChanges(RequestModel):
    """Changes of a document. Absent fields stay unchanged."""

    filename: Annotated[str, Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="The new filename, which citations show. Folders are removed from it.", repr=False
    )
    tags: Tags | None = Field(default=None, description="The new tags, in place of the earlier ones.")


class DocumentsQuery(RequestParameters):
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Maximum number of entries per page.")
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{1,15}$")] | None = Field(
        default=None, description="The `next_cursor` of the previous page."
    )
    status: DocumentState | None = Field(default=None, description="Return only documents with this status.")
    filename: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Return only documents whose filename contains this text, in any case.", repr=False
    )
    kind: FileType | None = Field(default=None, description="Return only documents of this file type.")
    tags: _TagList | None = Field(
        default=None, description="Return only documents that have all of these tags, separated by commas."
    )
    created_after: AwareDatetime | None = Field(
        default=None, description="Return only documents that were uploaded at this time or later (ISO 8601)."
    )
    created_before: AwareDatetime | None = Field(
        default=None, description="Return only documents that were uploaded before this time (ISO 8601)."
    )

    def matches(self, view: DocumentView) -> bool:
        """Whether the document passes all filters."""
        record = view.record
        return (
            (self.status is None or view.state is self.status)
            and (self.filename is None or self.filename.casefold() in record.filename.casefold())
            and (self.kind is None or record.kind == self.kind)
            and set(split_tags(self.tags)) <= set(record.tags)
            and (self.created_after is None or record.created_at_ms >= self.created_after.timestamp() * 1000)
            and (self.created_before is None or record.created_at_ms < self.created_before.timestamp() * 1000)
        )

    @property
    def has_filter(self) -> bool:
        return bool(self.model_fields_set - {"limit", "cursor"})


class ImageQuery(RequestParameters):
    width: Annotated[int, Field(ge=16, le=3_000)] = Field(
        default=1_000,
        description="Width of the image in pixels. A page that would have more than four million pixels is smaller.",
    )


class BoxesQuery(RequestParameters):
    start: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Start of the quote, in characters of the page's text. Needs `end`."
    )
    end: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="End of the quote, in characters of the page's text."
    )
    quote: Annotated[str, Field(min_length=1, max_length=4_000)] | None = Field(
        default=None, description="The quote itself, instead of `start` and `end`.", repr=False
    )


class TaskBody(RootModel[ChatTask | EmbeddingsTask]):
    """A task of the kind `chat` or `embeddings`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    root: ChatTask | EmbeddingsTask = Field(discriminator="kind")


class RetryFilter(RequestModel):
    """Selects the tasks to retry."""

    status: Literal["failed", "incomplete", "cancelled"] = Field(
        default="failed", description="Retry tasks with this status."
    )
    error_code: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Retry only tasks with this error code.", examples=["provider_unavailable"]
    )
    limit: Annotated[int, Field(ge=1, le=MAX_IDS), IntegralFloat] = Field(
        default=100, description="Maximum number of tasks to retry."
    )
    dry_run: bool = Field(default=False, description="Count the matching tasks without retrying them.")
