"""A text completion: OpenAI's older API, which evaluation programs use for the log-probabilities of a prompt."""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field

from jobs.kinds.base import JobKind, PassthroughRequest, TextAnswer

Prompt: TypeAlias = str | list[int]  # a text, or token ids


class TextCompletionTask(PassthroughRequest):
    """The body of POST /v1/completions, without model, metadata and stream."""

    kind: Literal["text_completion"]

    def texts(self) -> Iterator[str]:
        yield from (prompt for prompt in self.prompts if isinstance(prompt, str))

    @property
    def preview_text(self) -> str:
        return next(self.texts(), "")

    @property
    def prompts(self) -> list[Prompt]:
        """Each prompt. The provider answers each with ``n`` choices; one prompt is implied if there is none."""
        prompt = self.body.get("prompt")
        if not isinstance(prompt, list):
            return [prompt if isinstance(prompt, str) else ""]
        return [prompt] if all(isinstance(token, int) for token in prompt) else prompt

    @property
    def choices(self) -> int:
        """How many choices are requested in all."""
        number = self.body.get("n")
        return len(self.prompts) * (number if isinstance(number, int) else 1)

    @property
    def is_answered_whole(self) -> bool:
        """True if the answer is not requested as a stream.

        OpenAI cannot stream the best of several. Few servers stream an echoed prompt with all log-probabilities.
        """
        best_of = self.body.get("best_of")
        return bool(self.body.get("echo")) or (isinstance(best_of, int) and best_of > 1)


class TextCompletionAnswer(TextAnswer):
    """The answer to a text completion; ``text`` is the text of its first choice."""

    kind: Literal["text_completion"] = "text_completion"
    body: dict[str, Any] | None = Field(
        default=None, repr=False, description="The provider's `text_completion` object."
    )


# Log-probabilities and further choices of a stream are only in the event log.
KIND: Final = JobKind(
    "text_completion",
    TextCompletionTask,
    TextCompletionAnswer,
    id_prefixes=("cmpl",),
    keeps_events_with_answer=True,
)
