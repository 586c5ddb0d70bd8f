"""What the kinds of job share."""

from typing import Any

from pydantic import Field

from jobs.requests import JobOptions, ModelName


class PassthroughRequest(JobOptions):
    """A body in OpenAI's own shape, less what is ours; what nobody here knows of goes to the provider as it came."""

    model: ModelName | None = None
    body: dict[str, Any] = Field(repr=False)
