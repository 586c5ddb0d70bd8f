"""Calls that a running job makes besides its own: collected whole, and cut if the model does not stop."""

import asyncio

from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from tasks.governor import Governor
from tasks.provider.formats.delta import Delta
from tests.support.fakes import Fake, fake
from tests.tasks.attempt.fakes import ScriptedStore

REQUEST = ChatTask(kind="chat", message="Summarize.", model="m")


class EndlessProvider(Fake):
    """Streams until its connection is closed."""

    is_closed = False

    async def chat(self, _request, _timeouts, _target=""):
        try:
            while True:
                await asyncio.sleep(0)
                yield Delta(text="oil ")
        finally:
            self.is_closed = True


def test_a_model_that_does_not_stop_is_cut():
    """Its connection is closed, the usage is estimated, and the end of the call is counted."""
    provider, store = EndlessProvider(), ScriptedStore(begin_call=[[b"open", b"main/m", 0, 1]], end_call=[None])

    async def call():
        deadline = asyncio.get_running_loop().time() + 10
        return await Governor(store, Settings()).chat(provider, REQUEST, fake(), deadline, "main/m", max_chars=100)

    answer = asyncio.run(call())

    assert answer.text == "oil " * 26
    assert answer.usage.output_tokens == 26
    assert answer.usage.estimated
    assert provider.is_closed
    assert store.names == ["begin_call", "end_call"]
    assert "main/m" in store.sent("begin_call")
