"""No queue: the call itself, in the calling process."""

from openai import AsyncOpenAI, DefaultAioHttpClient

client = AsyncOpenAI(http_client=DefaultAioHttpClient())


async def ask(message: str) -> str:
    completion = await client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": message}]
    )
    return completion.choices[0].message.content or ""
