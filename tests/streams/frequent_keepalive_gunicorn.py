"""api/gunicorn_conf.py with frequent keep-alives, so that a test need not wait for 15 seconds."""

from api import gunicorn_conf
from api.gunicorn_conf import *  # noqa: F403


def post_worker_init(worker):  # type: ignore[no-redef]  # replaces the imported hook
    from api.streaming import engine

    gunicorn_conf.post_worker_init(worker)
    vars(engine).update(TICK_SECONDS=0.1, KEEPALIVE_SECONDS=0.3)
