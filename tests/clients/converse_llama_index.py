"""Two turns with an agent of LlamaIndex, streamed by chat completions and by responses."""

import asyncio
import os
from importlib.metadata import version

from conversation import QUESTIONS, check, sunny
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.workflow import Context
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike

BASE = os.environ["OPENAI_BASE_URL"]


async def converse(name, model):
    called_with, streamed, final = [], [], []

    def weather(city: str) -> str:
        """The weather in a city."""
        called_with.append(city)
        return sunny(city)

    agent = FunctionAgent(tools=[weather], llm=model, system_prompt="Be brief.")
    context = Context(agent)
    for question in QUESTIONS:
        run = agent.run(question, ctx=context)
        streamed.append("".join([event.delta async for event in run.stream_events() if isinstance(event, AgentStream)]))
        final.append(str(await run))
    check(name, streamed, final, called_with)


async def main():
    print(f"llama-index-llms-openai {version('llama-index-llms-openai')}, openai {version('openai')}", flush=True)
    like = OpenAILike(
        model="gpt-5-mini", api_base=BASE, api_key="any", is_chat_model=True, is_function_calling_model=True
    )
    await converse("chat completions", like)
    await converse("responses", OpenAIResponses(model="gpt-5-mini", api_base=BASE, api_key="any"))


if __name__ == "__main__":
    asyncio.run(main())
