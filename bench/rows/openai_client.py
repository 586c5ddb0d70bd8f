"""Times calls of the unmodified `openai` client, through chatqueue and directly to the provider."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from openai import OpenAI

from bench.figures import column, percentile
from bench.plan import Plan
from bench.rounds import run_rounds
from bench.runner import Runner
from bench.systems import CHATQUEUE
from bench.table import Table

TITLE: Final = "The openai client: through chatqueue, and direct"
MODEL: Final = "gpt-5-mini"
IMMEDIATE: Final = "[[offline tokens=20]] Hello"
STREAMED: Final = "[[offline tokens=20 interval=0.005]] Hello"
WARM_UP: Final = 10
NOTES: Final = (
    "one call after the other, alternately direct and through chatqueue, with the same unmodified client",
    "not streamed: the provider answers immediately; streamed: first token immediately, the next ones 5 ms apart",
)
SUPPORTS_RESPONSES: Final = replace(CHATQUEUE, provider=("--responses",))

Ask: TypeAlias = Callable[[OpenAI], Any]


@dataclass(frozen=True)
class ClientComparison:
    direct_p50_ms: float | None = column("direct p50 ms")
    direct_p99_ms: float | None = column("p99")
    p50_ms: float | None = column("chatqueue p50 ms")
    p99_ms: float | None = column("p99")
    added_p50_ms: float | None = column("added p50 ms")
    added_p99_ms: float | None = column("added p99 ms")


def table(plan: Plan) -> Table[ClientComparison]:
    asks: dict[str, Ask] = {
        "responses.create": _respond,
        "responses.create, stream: first token": _first_of_response,
        "responses.create, stream: whole": _complete_response,
        "chat.completions.create": _complete,
        "chat.completions.create, stream: first token": _first_of_completion,
        "chat.completions.create, stream: whole": _complete_completion,
        "embeddings.create": _create_embedding,
    }
    return run_rounds(TITLE, plan, {name: partial(_measure, ask) for name, ask in asks.items()}, NOTES)


def _measure(ask: Ask, plan: Plan) -> ClientComparison:
    with Runner(plan, SUPPORTS_RESPONSES) as runner:
        runner.start_web()
        runner.start_workers()
        with _client(runner.model_url) as provider, _client(f"http://127.0.0.1:{runner.web_port}/v1") as chatqueue:
            durations_ms = [(_time(ask, provider), _time(ask, chatqueue)) for _ in range(WARM_UP + plan.round_trips)]
    return _compare(*zip(*durations_ms[WARM_UP:], strict=True))


@contextmanager
def _client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="sk-bench", max_retries=0, timeout=30) as client:
        yield client


def _time(ask: Ask, client: OpenAI) -> float:
    """Milliseconds until ``ask`` returns. A stream is then read to its end: the system must be idle for the next."""
    started_at = time.perf_counter()
    rest = ask(client)
    duration_ms = (time.perf_counter() - started_at) * 1000
    for _ in rest or ():
        pass
    return duration_ms


def _compare(direct: tuple[float, ...], ours: tuple[float, ...]) -> ClientComparison:
    direct_percentiles, our_percentiles = (
        [percentile(durations_ms, share) for share in (0.5, 0.99)] for durations_ms in (direct, ours)
    )
    return ClientComparison(
        *direct_percentiles,
        *our_percentiles,
        *(ours_ms - direct_ms for ours_ms, direct_ms in zip(our_percentiles, direct_percentiles, strict=True)),
    )


def _respond(client: OpenAI) -> None:
    _check(client.responses.create(model=MODEL, input=IMMEDIATE).output_text)


def _first_of_response(client: OpenAI) -> Iterator[Any]:
    events = client.responses.create(model=MODEL, input=STREAMED, stream=True)
    _check(next(event.delta for event in events if event.type == "response.output_text.delta"))
    return events


def _complete_response(client: OpenAI) -> None:
    events = client.responses.create(model=MODEL, input=STREAMED, stream=True)
    _check("".join(event.response.output_text for event in events if event.type == "response.completed"))


def _complete(client: OpenAI) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=_messages(IMMEDIATE))
    _check(completion.choices[0].message.content)


def _first_of_completion(client: OpenAI) -> Iterator[Any]:
    chunks = client.chat.completions.create(model=MODEL, messages=_messages(STREAMED), stream=True)
    _check(next(text for chunk in chunks if (text := chunk.choices[0].delta.content)))
    return chunks


def _complete_completion(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model=MODEL, messages=_messages(STREAMED), stream=True)
    _check("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


def _create_embedding(client: OpenAI) -> None:
    _check(client.embeddings.create(model=MODEL, input="Hello").data)


def _messages(text: str) -> Any:
    return [{"role": "user", "content": text}]


def _check(value: Any) -> None:
    """Raises RuntimeError for an empty answer: it must not be counted."""
    if not value:
        raise RuntimeError("an empty answer")
