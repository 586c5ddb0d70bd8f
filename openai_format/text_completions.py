"""The object `text_completion`, which is also the object of its chunks."""

from openai_format.completion_accumulator import CompletionAccumulator
from openai_format.text import read_text
from openai_format.types import JsonObject


def text_completion_head(completion_id: str, created: int, model: str | None) -> JsonObject:
    """The fields that a completion and each of its chunks have in common. ``created`` is in Unix seconds."""
    return {"id": completion_id, "object": "text_completion", "created": created, "model": model}


def text_choice(text: str, finish_reason: str | None, index: int = 0) -> JsonObject:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


class TextCompletionAccumulator(CompletionAccumulator):
    """Accumulates the chunks of one text completion to the object that a call without streaming returns."""

    def flush(self) -> str:
        """Add the rest of texts that ended with half a surrogate pair. Returns that of the first choice."""
        rests = {index: self._budget.take(joiner.flush()) for (index, _), joiner in self._joiners.items()}
        for index, rest in rests.items():
            self._choices[index]["text"] += rest
        return rests.get(0, "")

    def completion(self, missing_reason: str = "length") -> JsonObject | None:
        choices = [entry for _, entry in sorted(self._choices.items())]
        for entry in choices:
            entry["finish_reason"] = entry["finish_reason"] or missing_reason
        return self._body | {"choices": choices} if choices else None

    def _add_choice(self, part: JsonObject) -> None:
        index = part["index"] = int(part.get("index") or 0)
        known = self._choices.setdefault(index, text_choice("", None, index))
        part["text"] = self._budget.take(self._joiners[index, "text"].join(read_text(part.get("text")) or ""))
        known["text"] += part["text"]
        for name, value in part.items():
            if name not in ("index", "text"):
                known[name] = _joined(known.get(name), value)


def _joined(known: object, value: object) -> object:
    """Lists grow, such as those of the log-probabilities. Of other values the latest counts that is not null."""
    if isinstance(known, list) and isinstance(value, list):
        return [*known, *value]
    if isinstance(known, dict) and isinstance(value, dict):
        names = {**known, **value}
        return {name: _joined(known.get(name), value.get(name)) for name in names}
    return known if value is None else value
