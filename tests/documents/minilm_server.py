"""MiniLM behind the OpenAI protocol: embeddings from the real model, everything else as the offline model answers it.

`python -m tests.documents.minilm_server PORT`. It is a provider like any other to who calls it.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from local.offline_model import wire
from local.offline_model.app import create_app, create_completion
from local.offline_model.embedding import to_base64
from tests.documents import minilm


async def embed(request: web.Request) -> web.Response:
    body = await request.json()
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    found = await asyncio.get_running_loop().run_in_executor(request.app[POOL], minilm.load().embed, texts)
    vectors = [to_base64(vector) for vector in found.tolist()]
    return wire.json_response(wire.embeddings(body["model"], vectors, sum(len(text.split()) for text in texts)))


POOL = web.AppKey("pool", ThreadPoolExecutor)  # of one: numpy uses the cores by itself


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
    print("minilm listening", flush=True)  # noqa: T201  # who started it waits for this


if __name__ == "__main__":
    main()
