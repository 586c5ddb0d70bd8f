"""The steps of a program written with LiteLLM.

OPENAI_BASE_URL=http://127.0.0.1:5000/v1 OPENAI_API_KEY=any python litellm_program.py
"""

from importlib.metadata import version

import litellm

MODEL = "openai/gpt-5-mini"
COUNT = "[[offline tokens=12 interval=0.03]] Count to twelve in words, separated by spaces."


def complete():
    answer = litellm.completion(model=MODEL, messages=[{"role": "user", "content": "Say hello."}])
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens


def stream():
    messages = [{"role": "user", "content": COUNT}]
    chunks = list(
        litellm.completion(model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True})
    )
    completion = litellm.stream_chunk_builder(chunks)
    assert len(chunks) > 3
    assert completion.choices[0].message.content
    assert completion.usage.completion_tokens


def respond():
    assert litellm.responses(model=MODEL, input="Say hello.").output[0].content[0].text


def stream_response():
    events = list(litellm.responses(model=MODEL, input=COUNT, stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output[0].content[0].text


def embed():
    vectors = litellm.embedding(model="openai/text-embedding-3-small", input=["first text", "second"])
    assert len(vectors.data) == 2


def main():
    print(f"litellm {version('litellm')}, openai {version('openai')}", flush=True)
    for step in (complete, stream, respond, stream_response, embed):
        step()
        print(f"ok {step.__name__}", flush=True)


if __name__ == "__main__":
    main()
