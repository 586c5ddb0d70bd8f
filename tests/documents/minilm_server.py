"""An OpenAI-compatible provider with embeddings from MiniLM; chats are answered by the offline model.

Start it with `python -m tests.documents.minilm_server PORT`.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from local.offline_model import wire
from local.offline_model.embedding import to_base64
from local.offline_model.routes import create_app, create_completion
from tests.documents import minilm


async def embed(request: web.Request) -> web.Response:
    body = await request.json()
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    embeddings = await asyncio.get_running_loop().run_in_executor(request.app[POOL], minilm.load().embed, texts)
    vectors: list[list[float] | str] = [to_base64(vector) for vector in embeddings.tolist()]
    return wire.json_response(wire.embeddings(body["model"], vectors, sum(len(text.split()) for text in texts)))


POOL = web.AppKey("pool", ThreadPoolExecutor)  # one thread: numpy uses all cores by itself


def main() -> None:
    offline = create_app(())
    app = web.Application(middlewares=offline.middlewares, client_max_size=2**25)
    app[POOL] = ThreadPoolExecutor(1)
    for key, value in offline.items():
        app[key] = value
    app.router.add_post("/v1/embeddings", embed)
    app.router.add_post("/v1/chat/completions", create_completion)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=_print_ready)


def _print_ready(_: str) -> None:
    print("minilm listening", flush=True)  # noqa: T201  # the starter waits for this line


if __name__ == "__main__":
    main()
