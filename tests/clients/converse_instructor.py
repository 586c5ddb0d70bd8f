"""Two turns with instructor: a streamed partial object from a function call, by chat completions and by responses."""

from importlib.metadata import version

import instructor
from conversation import CITIES, QUESTIONS
from openai import OpenAI
from pydantic import BaseModel


class weather(BaseModel):  # noqa: N801  # the name of the function
    """The weather in a city."""

    city: str


def converse(name, client):
    called_with, messages = [], []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        partial = client.create_partial(response_model=weather, model="gpt-5-mini", messages=messages)
        objects = [found for found in partial if found.city]
        called_with.append(objects[-1].city)
        messages.append({"role": "assistant", "content": objects[-1].model_dump_json()})
    assert called_with == CITIES, called_with
    print(f"ok {name}", flush=True)


def main():
    print(f"instructor {version('instructor')}, openai {version('openai')}", flush=True)
    converse("chat completions", instructor.from_openai(OpenAI(), mode=instructor.Mode.TOOLS))
    converse("responses", instructor.from_openai(OpenAI(), mode=instructor.Mode.RESPONSES_TOOLS))


if __name__ == "__main__":
    main()
