"""Converts the chunks of a chat completion to a response, for a provider that supports chat completions only."""

import sys
from collections.abc import Iterable
from typing import Any

from openai_format.chunk_converter import ChunkConverter
from openai_format.text import read_text
from openai_format.tools import FunctionNames
from openai_format.types import JsonObject
from openai_format.usage import chat_to_response_usage
from tasks.provider.errors import stream_cut
from tasks.provider.formats.chat import first_choice
from tasks.provider.formats.delta import TRUNCATED_REASONS, Delta, delta_of, read_model, read_usage
from tasks.provider.limits import SizeBudget


class ChatToResponseParser:
    """``names``: of the request's tools, as the provider knows them."""

    is_over = False

    def __init__(self, max_chars: int = sys.maxsize, names: FunctionNames | None = None) -> None:
        self.budget = SizeBudget(max_chars)
        self._converter = ChunkConverter(self.budget, names)
        self._usage: JsonObject = {}
        self._finish_reason: str | None = None
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        return self._finish_reason is not None

    def parse(self, payload: Any) -> Iterable[Delta]:
        choice = first_choice(payload, has_begun=self._has_begun)
        self._has_begun = self._has_begun or bool(choice)
        reason, usage = read_text(choice.get("finish_reason")), read_usage(payload.get("usage"))
        self._finish_reason = reason or self._finish_reason
        if usage:
            self._usage = {"usage": chat_to_response_usage(usage, payload["usage"])}
        first = Delta(finish_reason=reason, usage=usage, model=read_model(payload))
        return [first, *map(delta_of, self._converter.convert(choice))]

    def finish(self, is_done: bool) -> Iterable[Delta]:
        if not (self.is_complete or self.budget.is_full or (is_done and self._has_begun)):
            raise stream_cut()
        last_texts = [delta_of(event) for event in self._converter.flush()]
        is_truncated = self.budget.is_full or self._finish_reason in TRUNCATED_REASONS
        closing = [delta_of(event) for event in self._converter.finish("incomplete" if is_truncated else "completed")]
        body = self._usage | {"output": self._converter.output()}
        return [*last_texts, *closing, Delta(finish_reason=None if self.is_complete else "stop", body=body)]
