"""The steps of a program written with LangChain, run with chat completions and with responses.

OPENAI_BASE_URL=http://127.0.0.1:5000/v1 OPENAI_API_KEY=any python langchain_program.py
"""

from importlib.metadata import version

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

COUNT = "[[offline tokens=12 interval=0.03]] Count to twelve in words, separated by spaces."


class City(BaseModel):
    name: str
    people: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def invoke(model):
    answer = model.invoke("Say hello.")
    assert answer.text
    assert answer.usage_metadata["total_tokens"]


def stream(model):
    chunks = list(model.stream(COUNT))
    answer = chunks[0]
    for chunk in chunks[1:]:
        answer += chunk
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert answer.text
    assert answer.usage_metadata["output_tokens"]


def call_tool(model):
    messages = [HumanMessage("[[offline call=1]] How is the weather in Rome? Call the function.")]
    answer = model.bind_tools([weather]).invoke(messages)
    (call,) = answer.tool_calls
    output = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    assert model.bind_tools([weather]).invoke([*messages, answer, output]).text


def parse(model):
    assert isinstance(model.with_structured_output(City).invoke("Name a city."), City)


def embed():
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    first, second = embeddings.embed_documents(["first text", "second"])
    assert first == embeddings.embed_query("first text") != second


def main():
    print(f"langchain-openai {version('langchain-openai')}, openai {version('openai')}", flush=True)
    for api, supports_responses in (("chat completions", False), ("responses", True)):
        model = ChatOpenAI(model="gpt-5-mini", use_responses_api=supports_responses, stream_usage=True)
        for step in (invoke, stream, call_tool, parse):
            step(model)
            print(f"ok {step.__name__} by {api}", flush=True)
    embed()
    print("ok embed", flush=True)


if __name__ == "__main__":
    main()
