"""Two turns with the library of the command `llm`, streamed. LLM_USER_PATH is a folder for its configuration."""

import os
from importlib.metadata import version
from pathlib import Path

import llm
from conversation import QUESTIONS, check, sunny

MODEL = """
- model_id: weather
  model_name: gpt-5-mini
  api_base: {base}
  supports_tools: true
"""


def main():
    print(f"llm {version('llm')}, openai {version('openai')}", flush=True)
    Path(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml").write_text(
        MODEL.format(base=os.environ["OPENAI_BASE_URL"])
    )
    called_with, streamed, final = [], [], []

    def weather(city: str) -> str:
        """The weather in a city."""
        called_with.append(city)
        return sunny(city)

    conversation = llm.get_model("weather").conversation(tools=[weather])
    for question in QUESTIONS:
        chain = conversation.chain(question)
        streamed.append("".join(chain))
        final.append(conversation.responses[-1].text())
    check("chat completions", streamed, final, called_with)


if __name__ == "__main__":
    main()
