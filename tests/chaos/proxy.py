"""A TCP proxy that can drop connections, refuse them, or keep them open and forward nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any


class _Link:
    """One connection through the proxy, in both directions."""

    def __init__(self) -> None:
        self.is_flowing = asyncio.Event()
        self.is_flowing.set()
        self.writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.is_flowing.wait()
                writer.write(data)
                await writer.drain()
        if self.is_flowing.is_set():  # a stalled network does not report that the peer has disconnected
            writer.close()


class Proxy:
    """Listens on a free port of the loopback interface. Thread-safe."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._links: set[_Link] = set()
        self._is_refusing = False
        self._is_stalled = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._run(self._listen)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def drop(self) -> int:
        """Cut all connections and return their number. New connections work."""
        return self._run(self._drop)

    def stall_open_connections(self) -> None:
        """Keep the open connections open and forward nothing on them, forever. New connections work."""
        self._run(self._stall)

    def refuse(self) -> None:
        """Cut all connections and refuse new ones, until ``restore``."""
        self._is_refusing = True
        self.drop()

    def open_links(self) -> frozenset[object]:
        """The connections that are open now."""
        return frozenset(self._links)

    def stall(self, except_for: Collection[object] = ()) -> None:
        """Forward nothing, neither on old connections nor on new ones, until ``restore``."""
        self._is_stalled = True
        self._run(partial(self._stall, except_for))

    def restore(self) -> None:
        """Accept connections again, and forward on all of them."""
        self._is_refusing = self._is_stalled = False
        self._run(self._resume)

    def close(self) -> None:
        self._run(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, step: Callable[[], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            return await step()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        link = _Link()
        if self._is_stalled:
            link.is_flowing.clear()
        link.writers.append(writer)
        self._links.add(link)
        try:
            await self._forward(link, reader, writer)
        finally:
            self._links.discard(link)
            link.cut()

    async def _forward(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
            link.writers.append(target_writer)
            await asyncio.gather(link.pump(reader, target_writer), link.pump(target_reader, writer))

    async def _drop(self) -> int:
        links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    async def _stall(self, except_for: Collection[object] = ()) -> None:
        for link in self._links:
            if link not in except_for:
                link.is_flowing.clear()

    async def _resume(self) -> None:
        for link in self._links:
            link.is_flowing.set()

    async def _close(self) -> None:
        self._server.close()
        self._loop.set_exception_handler(lambda *_: None)  # asyncio logs every cancelled stream
        await self._drop()
        for task in asyncio.all_tasks(self._loop):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)
