"""How long things are kept, and how long Redis may take."""

from pydantic import BaseModel, Field

from jobs.settings.types import Count, Seconds


class StorageSettings(BaseModel):
    result_ttl_seconds: Count = Field(
        default=86_400, description="How long record and answer are kept after the job has ended."
    )
    large_request_ttl_seconds: Count = Field(
        default=3_600,
        description="How long a request of more than 1 MiB, such as one with images, is kept after the job has ended. "
        "Then the job can no longer be retried or continued; its answer is kept.",
    )
    unstored_ttl_seconds: Count = Field(
        default=300, description="How long a response with `store: false` is kept after it has ended."
    )
    events_ttl_seconds: Count = Field(
        default=3_600,
        description="How long the event log is kept after the job has ended. Not longer than its answer. "
        "The log of a /v1 job is kept as long as its answer.",
    )
    idempotency_ttl_seconds: Count = Field(
        default=86_400,
        description="How long an Idempotency-Key is valid after its first use. Not longer than its job.",
    )
    redis_connect_seconds: Seconds = Field(default=1, description="Timeout for connecting to Redis.")
    redis_timeout_seconds: Seconds = Field(default=2, description="Timeout for one call to Redis.")
