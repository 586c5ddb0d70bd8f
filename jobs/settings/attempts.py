"""How a job runs: workers and their slots, limits of the provider, attempts, deadlines."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from jobs.providers import ProviderApi, TokenCount
from jobs.settings.types import Count, Seconds


class AttemptSettings(BaseModel):
    durability: Annotated[str, Field(pattern=r"^(auto|process|disk|replicas=[1-9])$")] = Field(
        default="auto",
        description="Where a write must be before it counts as accepted: `process` (the memory of Redis), `disk` "
        "(its append-only file, synced), or on `replicas=N` (N replicas). auto: one replica where Redis has any. "
        "Otherwise submits get 503.",
    )
    worker_concurrency: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=500, description="Concurrent calls per worker process (asyncio pool)."
    )
    worker_threads: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="Concurrent calls per worker process with `-P threads`."
    )
    ready_ahead: Annotated[int, Field(ge=0, le=1_000)] | None = Field(
        default=None,
        description="Number of jobs that wait in Celery's list beyond the free slots. 0: who is next is decided at the "
        "last moment, and a worker waits one round trip for it. Not set: a tenth of all slots, from 1 to 16.",
    )
    batch_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1,
        description="Share of the starts that jobs of the batch lane get while interactive jobs wait. "
        "0: they start only when no interactive job waits.",
    )
    provider_api: ProviderApi = Field(
        default="auto",
        description="API of the provider: responses, or chat (only /chat/completions). auto: each worker detects it.",
    )
    provider_requests_per_minute: Count | None = Field(
        default=None, description="Maximum number of calls to the provider per minute, all models together."
    )
    provider_tokens_per_minute: Count | None = Field(
        default=None, description="Maximum number of tokens per minute at the provider, all models together."
    )
    provider_concurrency: Count | None = Field(
        default=None, description="Maximum number of concurrent calls to the provider, all models together."
    )
    provider_token_count: TokenCount = Field(
        default="reserved",
        description="How the provider counts tokens: `reserved` (input and maximum output, when it accepts a call), or "
        "`used` (what a call has used, when it ends).",
    )
    provider_streams: bool = Field(
        default=True,
        description="Whether answers are requested as streams. A model that refuses to stream is asked for the whole "
        "answer in any case.",
    )
    lease_seconds: Seconds = Field(
        default=15, description="Time without a heartbeat after which other workers take over a worker's jobs."
    )
    heartbeat_seconds: Seconds = Field(default=4, description="Interval at which a worker renews its leases.")
    heartbeat_file: Path | None = Field(
        default=None,
        description="File that a worker touches with each heartbeat, for a liveness probe. One file per worker.",
    )
    grace_seconds: Seconds = Field(default=30, description="How long a stopping worker waits for its running jobs.")
    max_attempts: Count = Field(default=4, le=50, description="Maximum number of attempts that may end with an error.")
    max_worker_losses: Count = Field(
        default=10, le=100, description="Maximum number of attempts that may end with a lost worker."
    )
    quarantine_after_worker_losses: Count = Field(
        default=2, description="Number of lost workers from which a job runs in quarantine, alone in its own process."
    )
    quarantine_processes: Count = Field(
        default=16,
        description="Maximum number of quarantine processes per worker; a job that waits for one keeps its slot.",
    )
    deadline_seconds: Seconds = Field(
        default=86_400, le=604_800, description="Maximum time from submit to end, waiting and retries included."
    )
    backoff_base_seconds: Seconds = Field(
        default=1, description="First wait between attempts; doubles each time, with jitter."
    )
    backoff_cap_seconds: Seconds = Field(
        default=60, description="Maximum wait between attempts, unless Retry-After is longer."
    )
    retry_after_cap_seconds: Seconds = Field(
        default=600,
        description="Maximum Retry-After that is honoured. A longer one is cut to it, or fails the job if no fault of "
        "the provider explains it.",
    )
    provider_connect_seconds: Seconds = Field(default=5, description="Timeout for connecting to the provider.")
    provider_first_token_seconds: Seconds = Field(default=120, description="Maximum wait for the first token.")
    provider_idle_seconds: Seconds = Field(default=60, description="Maximum time between two tokens.")
    provider_total_seconds: Seconds = Field(default=600, description="Maximum duration of one call to the provider.")
    append_interval_seconds: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.03, description="Tokens that arrive within this time are written to the event log together."
    )
