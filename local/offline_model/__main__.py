"""``python -m local.offline_model [--host 127.0.0.1] [--port N] [--responses] [--call-functions]``."""

import argparse
import asyncio
import errno
import sys

from guards.file_limit import raise_file_limit
from jobs.settings import Settings
from local.config import load_settings
from local.errors import CannotStart
from local.offline_model.routes import create_app
from local.offline_model.server import serve


def main() -> int:
    """Returns 0 after a signal. If the server cannot start, prints one line of advice and returns 1."""
    try:
        settings = load_settings()
    except CannotStart as error:
        return _fail(str(error))
    args = _parse_arguments(settings)
    raise_file_limit()
    models = (settings.chat_model, settings.embedding_model)
    try:
        app = create_app(
            models,
            supports_responses=args.responses,
            calls_functions=args.call_functions,
            allowed_hosts=settings.allowed_hosts,
        )
        asyncio.run(serve(app, args.host, args.port))
    except OSError as error:
        return _fail(_advice(error, args.host, args.port))
    return 0


def _parse_arguments(settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.offline_model", description="An OpenAI-compatible stub server without a model."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=settings.offline_model_port,
        help="port to listen on, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument("--responses", action="store_true", help="also serve /v1/responses")
    parser.add_argument(
        "--call-functions",
        action="store_true",
        help="call the first function that a request offers, once per message of the user, without being told to",
    )
    return parser.parse_args()


def _advice(error: OSError, host: str, port: int) -> str:
    other = "choose another port with --port or CHATQUEUE_OFFLINE_MODEL_PORT"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop the program that listens there, or {other}"
    return f"cannot listen on {host}, port {port} ({error.strerror}): {other}"


def _fail(message: str) -> int:
    print(f"offline model: {message}", file=sys.stderr, flush=True)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
