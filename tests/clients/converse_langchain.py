"""Two turns with LangChain, streamed by responses and by chat completions."""

from importlib.metadata import version

from conversation import QUESTIONS, check, sunny
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def add_up(chunks):
    whole = next(chunks)
    for chunk in chunks:
        whole += chunk
    return whole


def converse(name, model):
    called_with, streamed, messages = [], [], []

    @tool
    def weather(city: str) -> str:
        """The weather in a city."""
        called_with.append(city)
        return sunny(city)

    bound = model.bind_tools([weather])
    for question in QUESTIONS:
        messages.append(HumanMessage(question))
        while (message := add_up(bound.stream(messages))).tool_calls:
            outputs = [
                ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in message.tool_calls
            ]
            messages += [message, *outputs]
        messages.append(message)
        streamed.append(message.text)
    check(name, streamed, streamed, called_with)


def main():
    print(f"langchain-openai {version('langchain-openai')}, openai {version('openai')}", flush=True)
    converse("responses", ChatOpenAI(model="gpt-5-mini", use_responses_api=True))
    converse("chat completions", ChatOpenAI(model="gpt-5-mini", use_responses_api=False))


if __name__ == "__main__":
    main()
