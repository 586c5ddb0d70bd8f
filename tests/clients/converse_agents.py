"""Two turns with the OpenAI Agents SDK, streamed: by responses with a session, by a previous response, and by chat."""

import asyncio
from importlib.metadata import version

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from conversation import QUESTIONS, check, sunny
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent

MODEL = "gpt-5-mini"


async def converse(name, model, *, has_session):
    called_with, streamed, final = [], [], []

    @function_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        called_with.append(city)
        return sunny(city)

    agent = Agent(name="Weather", instructions="Be brief.", model=model, tools=[weather])
    memory = {"session": SQLiteSession("weather")} if has_session else {"auto_previous_response_id": True}
    for question in QUESTIONS:
        run = Runner.run_streamed(agent, question, **memory)
        deltas = [
            event.data.delta
            async for event in run.stream_events()
            if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
        ]
        if not has_session:
            memory["previous_response_id"] = run.last_response_id
        streamed.append("".join(deltas))
        final.append(run.final_output)
    check(name, streamed, final, called_with)


async def main():
    set_tracing_disabled(True)
    print(f"openai-agents {version('openai-agents')}, openai {version('openai')}", flush=True)
    async with AsyncOpenAI() as client:
        await converse("responses with a session", OpenAIResponsesModel(MODEL, client), has_session=True)
        await converse("responses by previous id", OpenAIResponsesModel(MODEL, client), has_session=False)
        await converse("chat completions", OpenAIChatCompletionsModel(MODEL, client), has_session=True)


if __name__ == "__main__":
    asyncio.run(main())
