"""The `openai` client as it is: what its calls take through chatqueue, and straight from the provider."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from openai import OpenAI

from bench.figures import column, percentile
from bench.plan import Plan
from bench.rounds import in_turn
from bench.runner import Arena
from bench.systems import CHATQUEUE
from bench.table import Table

TITLE: Final = "The openai client: through chatqueue, and direct"
MODEL: Final = "gpt-5-mini"
AT_ONCE: Final = "[[offline tokens=20]] Hello"
STREAMED: Final = "[[offline tokens=20 interval=0.005]] Hello"
WARM_UP: Final = 10
NOTES: Final = (
    "one call after the other, in turn direct and through chatqueue, by the same unmodified client",
    "not streamed: the provider answers at once; streamed: it sends its first token at once, the next ones 5 ms apart",
)
SPEAKS_RESPONSES: Final = replace(CHATQUEUE, provider=("--responses",))

Ask: TypeAlias = Callable[[OpenAI], Any]


@dataclass(frozen=True)
class Beside:
    direct_p50_ms: float | None = column("direct p50 ms")
    direct_p99_ms: float | None = column("p99")
    p50_ms: float | None = column("chatqueue p50 ms")
    p99_ms: float | None = column("p99")
    added_p50_ms: float | None = column("added p50 ms")
    added_p99_ms: float | None = column("added p99 ms")


def table(plan: Plan) -> Table[Beside]:
    asks: dict[str, Ask] = {
        "responses.create": _respond,
        "responses.create, stream: first token": _first_of_response,
        "responses.create, stream: whole": _whole_response,
        "chat.completions.create": _complete,
        "chat.completions.create, stream: first token": _first_of_completion,
        "chat.completions.create, stream: whole": _whole_completion,
        "embeddings.create": _embed,
    }
    return in_turn(TITLE, plan, {name: partial(_measure, ask) for name, ask in asks.items()}, NOTES)


def _measure(ask: Ask, plan: Plan) -> Beside:
    with Arena(plan, SPEAKS_RESPONSES) as arena:
        arena.start_web()
        arena.start_workers()
        with _client(arena.model_url) as provider, _client(f"http://127.0.0.1:{arena.web_port}/v1") as chatqueue:
            taken = [(_time(ask, provider), _time(ask, chatqueue)) for _ in range(WARM_UP + plan.round_trips)]
    return _beside(*zip(*taken[WARM_UP:], strict=True))


@contextmanager
def _client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="sk-bench", max_retries=0, timeout=30) as client:
        yield client


def _time(ask: Ask, client: OpenAI) -> float:
    """Milliseconds until ``ask`` has what it wants; a stream is then read to its end: the next call finds no load."""
    began_at = time.perf_counter()
    rest = ask(client)
    taken = (time.perf_counter() - began_at) * 1000
    for _ in rest or ():
        pass
    return taken


def _beside(direct: tuple[float, ...], ours: tuple[float, ...]) -> Beside:
    of_direct, of_ours = ([percentile(taken, share) for share in (0.5, 0.99)] for taken in (direct, ours))
    return Beside(
        *of_direct, *of_ours, *(through - straight for through, straight in zip(of_ours, of_direct, strict=True))
    )


def _respond(client: OpenAI) -> None:
    _check(client.responses.create(model=MODEL, input=AT_ONCE).output_text)


def _first_of_response(client: OpenAI) -> Iterator[Any]:
    events = client.responses.create(model=MODEL, input=STREAMED, stream=True)
    _check(next(event.delta for event in events if event.type == "response.output_text.delta"))
    return events


def _whole_response(client: OpenAI) -> None:
    *_, last = client.responses.create(model=MODEL, input=STREAMED, stream=True)
    _check(last.response.output_text)


def _complete(client: OpenAI) -> None:
    said = client.chat.completions.create(model=MODEL, messages=_messages(AT_ONCE))
    _check(said.choices[0].message.content)


def _first_of_completion(client: OpenAI) -> Iterator[Any]:
    chunks = client.chat.completions.create(model=MODEL, messages=_messages(STREAMED), stream=True)
    _check(next(text for chunk in chunks if (text := chunk.choices[0].delta.content)))
    return chunks


def _whole_completion(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model=MODEL, messages=_messages(STREAMED), stream=True)
    _check("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


def _embed(client: OpenAI) -> None:
    _check(client.embeddings.create(model=MODEL, input="Hello").data)


def _messages(text: str) -> Any:
    return [{"role": "user", "content": text}]


def _check(answered: Any) -> None:
    """Raises RuntimeError: what was not answered must not be counted."""
    if not answered:
        raise RuntimeError("an empty answer")
