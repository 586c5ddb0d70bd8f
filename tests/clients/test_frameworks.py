"""Frameworks that build on the `openai` client or replace it run unmodified: LangChain and LiteLLM."""

from tests.clients.installed import python, run


def test_a_langchain_program_runs_by_chat_completions_and_by_responses(chat_completions_stack):
    """LangChain's calls, streams, tools and batches work with nothing but a base URL and a key."""
    output = run(python("frameworks"), "langchain_program.py", url=chat_completions_stack.url)

    assert output.count("\nok ") == 9


def test_a_litellm_program_runs(chat_completions_stack):
    """LiteLLM sends its own HTTP requests and parses the answers itself: both must be what it expects."""
    output = run(python("litellm"), "litellm_program.py", url=chat_completions_stack.url)

    assert output.count("\nok ") == 5
