"""What is asked of the native API in a query, a header or a body; the bodies of submits are in jobs.models."""

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from jobs.kinds.chat import ChatRequest, ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
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
    """Query or headers: read from strings, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SubmitHeaders(RequestParameters):
    idempotency_key: Annotated[str, Field(pattern=_IDEMPOTENCY_KEY_PATTERN)] | None = Field(
        default=None,
        alias="Idempotency-Key",
        description="Same key and same body: the same job, also for concurrent requests. Bare or quoted.",
        examples=["order-4711"],
        repr=False,
    )

    @property
    def key(self) -> str | None:
        """Bare, whichever way it was sent."""
        raw_key = self.idempotency_key
        if raw_key is None or not raw_key.startswith('"'):
            return raw_key
        return re.sub(r"\\(.)", r"\1", raw_key[1:-1])


class WaitQuery(RequestParameters):
    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] | None = Field(
        default=None, description="Seconds to wait for the end of the job before answering 202."
    )


class PollHeaders(RequestParameters):
    prefer: str | None = Field(default=None, alias="Prefer", description="`wait=N` asks for the same as ?wait=N.")
    if_none_match: str | None = Field(
        default=None, alias="If-None-Match", description="The ETag of an earlier answer: 304 while it still holds."
    )

    @property
    def wait_seconds(self) -> int | None:
        """Of `Prefer: wait=N`, at most MAX_WAIT_SECONDS; what is malformed is no preference."""
        match = _PREFERRED_WAIT.search(self.prefer or "")
        return min(int(match[1]), MAX_WAIT_SECONDS) if match else None


class EventsQuery(RequestParameters):
    starting_after: Annotated[int, Field(ge=0, le=MAX_SEQUENCE_NUMBER)] | None = Field(
        default=None, description="Only events after this sequence number."
    )


class EventsHeaders(RequestParameters):
    last_event_id: Annotated[str, Field(pattern=r"^\d{1,15}$")] | None = Field(
        default=None,
        alias="Last-Event-ID",
        description="As an EventSource sends it when it comes back: goes before starting_after.",
    )


class _StreamOption(RequestModel):
    stream: bool = Field(default=False, description="Answer with the job's events as they come (text/event-stream).")


class SyncChat(ChatRequest, _StreamOption):
    """A chat call whose caller waits."""

    on_disconnect: Literal["cancel", "continue"] | None = Field(
        default=None,
        description="What becomes of the job when the caller leaves before its end. "
        "When absent it is cancelled, unless it was sent with an Idempotency-Key: who sends one means to come back.",
    )

    def cancels_on_disconnect(self, headers: SubmitHeaders) -> bool:
        return self.on_disconnect == "cancel" or (self.on_disconnect is None and headers.key is None)


class AsyncChat(ChatRequest, _StreamOption):
    """A chat call whose answer is fetched later, or followed."""

    on_disconnect: Literal["cancel", "continue"] | None = Field(
        default=None,
        description="What becomes of the job when who follows its stream leaves before its end. "
        "When absent it goes on.",
    )


class TasksQuery(RequestParameters):
    ids: str | None = Field(
        default=None,
        description=f"Up to {MAX_IDS} ids, separated by commas; not together with status or cursor.",
    )
    status: State | None = Field(default=None, description="Only tasks of this status.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Longest page.")
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{1,15}$")] | None = Field(
        default=None, description="next_cursor of the page before."
    )

    @property
    def id_list(self) -> list[str]:
        return [job_id for job_id in (self.ids or "").split(",") if job_id]


class UploadQuery(RequestParameters):
    filename: Annotated[str, Field(max_length=1_000)] | None = Field(
        default=None, description="Name of a file that is the body itself; a form has it beside the file.", repr=False
    )


class DocumentsQuery(RequestParameters):
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Longest page.")
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{1,15}$")] | None = Field(
        default=None, description="next_cursor of the page before."
    )


class TaskBody(RootModel[ChatTask | EmbeddingsTask]):
    """A task of one kind: `chat` or `embeddings`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, json_schema_extra={"x-request": True})
    root: ChatTask | EmbeddingsTask = Field(discriminator="kind")


class RetryFilter(RequestModel):
    """Which ended tasks to submit again."""

    status: Literal["failed", "incomplete", "cancelled"] = Field(default="failed", description="How they ended.")
    error_code: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Only those that failed with this code.", examples=["provider_unavailable"]
    )
    limit: Annotated[int, Field(ge=1, le=MAX_IDS), IntegralFloat] = Field(
        default=100, description="Most tasks to retry."
    )
    dry_run: bool = Field(default=False, description="Only say how many there are.")
