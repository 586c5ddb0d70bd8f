"""What is accepted: sizes of requests, the length of the queue, how long a caller waits."""

from typing import Annotated

from pydantic import BaseModel, Field

from jobs.model_name import ModelName
from jobs.settings.types import Count, Seconds


class IntakeSettings(BaseModel):
    chat_model: ModelName = Field(default="gpt-5-mini", description="Default model of chat requests.")
    embedding_model: ModelName = Field(
        default="text-embedding-3-small", description="Default model of embeddings requests."
    )
    max_message_chars: Count = Field(
        default=200_000,
        description="Maximum length of a text of the native API or of an embeddings call, in characters.",
    )
    max_answer_chars: Count = Field(
        default=1_000_000,
        description="Maximum length of an answer, in characters; a longer one is cut and ends as `incomplete`.",
    )
    max_body_bytes: Count = Field(
        default=2 * 1024 * 1024,
        description="Maximum size of a request body, without the images and files in it; a larger one gets 413.",
    )
    max_body_files_bytes: Annotated[int, Field(ge=0)] = Field(
        default=32 * 1024 * 1024,
        description="Maximum size of the images, files and audio in a request body, in base64: a file of 24 MiB has "
        "32 MiB. Beyond it, the body gets 413.",
    )
    max_bodies_bytes: Count = Field(
        default=256 * 1024 * 1024,
        description="Maximum size of all large request bodies that a web process holds; further ones get 503.",
    )
    body_seconds: Seconds = Field(default=60, description="Maximum time to receive a JSON body; a slower one gets 408.")
    max_queued: Count = Field(default=100_000, description="Maximum number of queued jobs; further submits get 429.")
    max_queued_bytes: Count = Field(
        default=1024 * 1024 * 1024,
        description="Maximum size of the requests of all jobs that have not ended; further submits get 429. "
        "A larger request is never accepted.",
    )
    max_memory_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        default=85, description="Percentage of Redis' maxmemory above which submits get 429."
    )
    client_wait_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=590,
        description="How long a /v1 call that is neither streamed nor in the background waits before it gets 504.",
    )
    response_hold_seconds: Annotated[float, Field(ge=0, le=15)] = Field(
        default=0.2,
        description="How long the stream of a /v1 response that is not in the background waits for its first output. "
        "An error in that time gets its own HTTP status; a later one is the event response.failed.",
    )
    resend_window_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=1_800,
        description="How long a retry by the openai client finds the job of its first attempt. 0: never.",
    )
    sync_wait_seconds: Seconds = Field(
        default=60, le=600, description="How long a sync chat waits for its answer before it gets 202 with the id."
    )
