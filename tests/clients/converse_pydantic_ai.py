"""Two turns with pydantic-ai, streamed by responses and by chat completions, and unstreamed in the background."""

import asyncio
from importlib.metadata import version

from conversation import QUESTIONS, check, sunny
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

MODEL = "gpt-5-mini"


async def converse(name, model, settings=None, *, is_streamed=True):
    called_with, streamed, final, history = [], [], [], []
    agent = Agent(model, instructions="Be brief.", model_settings=settings)

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        called_with.append(city)
        return sunny(city)

    for question in QUESTIONS:
        if is_streamed:
            async with agent.run_stream(question, message_history=history) as run:
                streamed.append("".join([text async for text in run.stream_text(delta=True)]))
                final.append(await run.get_output())
        else:
            run = await agent.run(question, message_history=history)
            final.append(run.output)
        history = run.all_messages()
    check(name, streamed if is_streamed else final, final, called_with)


async def main():
    print(f"pydantic-ai {version('pydantic-ai-slim')}, openai {version('openai')}", flush=True)
    await converse("responses", OpenAIResponsesModel(MODEL))
    await converse("chat completions", OpenAIChatModel(MODEL))
    await converse("background", OpenAIResponsesModel(MODEL), {"openai_background": True}, is_streamed=False)


if __name__ == "__main__":
    asyncio.run(main())
