"""gunicorn's configuration: `gunicorn -c api/gunicorn_conf.py "api:create_app()"`. No module imports this file.

One greenlet per connection, since a long poll only waits. No access log: paths and queries contain user data.
"""

import gc
import logging
import math
import os
import sys
from typing import Any

from gunicorn.http import message  # type: ignore[import-untyped]

from guards.file_limit import RESERVED_FILES, TooFewFiles, fitting, raise_file_limit
from guards.logs import configure_logging
from guards.private_files import keep_new_files_private
from jobs.settings.access import open_to_network
from jobs.settings.loading import load_settings_or_exit

_WANTED_CONNECTIONS = 5_000  # simultaneous long polls and streams per process
_FILES_PER_CONNECTION = 3  # itself, its share of the places for health checks, and a connection to Redis
_MAX_SHARED_FILES = 200  # there are no more of these places, and no more connections to Redis
GC_THRESHOLD = 50_000  # new objects; Python's default of 700 would scan thousands of waiting requests constantly

_settings = load_settings_or_exit()

# A GET for 1,000 ids has a request line of 42 KB; gunicorn caps the setting at 8,190 bytes unless its cap is raised.
# 0 would mean no limit at all.
message.MAX_REQUEST_LINE = 64 * 1024

bind = f"{_settings.web_host}:{_settings.web_port}"
workers = _settings.web_workers
worker_class = "gunicorn_ext.worker.Worker"
logger_class = f"gunicorn_ext.logger.ContentFree{'Json' if _settings.log_format == 'json' else ''}Logger"
try:
    worker_connections = fitting(_WANTED_CONNECTIONS, _FILES_PER_CONNECTION)
    if worker_connections >= _MAX_SHARED_FILES:
        worker_connections = fitting(_WANTED_CONNECTIONS, reserved=RESERVED_FILES + 2 * _MAX_SHARED_FILES)
except TooFewFiles as error:
    sys.exit(str(error))
forwarded_allow_ips = _settings.forwarded_allow_ips or ""  # whose X-Forwarded-Proto is believed
os.environ.pop("SCRIPT_NAME", None)  # gunicorn would fail every request without the prefix; the app handles it
forwarder_headers = ""  # by default a client on this machine may set SCRIPT_NAME and PATH_INFO, which move the path
limit_request_line = message.MAX_REQUEST_LINE
keepalive = 15  # seconds; a client that polls keeps its connection
# Long polls and streams are released after the grace period, and need a moment to end. Other requests get 10 seconds.
graceful_timeout = max(10, math.ceil(_settings.web_grace_seconds) + 2)
loglevel = _settings.log_level.lower()
proc_name = "chatqueue-web"
control_socket_disable = True  # the socket would be in the home directory, shared by every gunicorn of this user


def on_starting(server: Any) -> None:
    """Before anything listens: end with one line if the API would be open to other machines by accident."""
    for address in server.cfg.address:
        host = address[0] if isinstance(address, tuple) else ""  # a Unix socket
        if host and (problem := open_to_network(host, _settings)):
            sys.exit(f"chatqueue: {problem}")


def worker_exit(_server: Any, worker: Any) -> None:
    """Once per worker process, after its last request: publish the messages that still wait, add the last counts."""
    from api.services import services_of

    if worker.wsgi is not None:  # the app could be loaded
        app_services = services_of(worker.wsgi)
        app_services.submitter.close()
        app_services.metrics.flush()


def post_worker_init(worker: Any) -> None:
    """Once per worker process: set up logging, and what ends long polls and streams when the process stops."""
    import gevent

    from api.redis_watch import RedisWatch
    from api.services import services_of

    keep_new_files_private()  # uploads
    worker.path_prefix = _settings.path_prefix or ""
    gc.collect()
    gc.freeze()  # the loaded modules live as long as the process
    gc.set_threshold(GC_THRESHOLD)
    configure_logging(_settings.log_level, _settings.log_format)
    app_services = services_of(worker.wsgi)
    worker.grace_seconds = _settings.web_grace_seconds
    worker.release = app_services.listener.close
    if worker.age == 1:  # one process is enough for the log
        if worker_connections < _WANTED_CONNECTIONS:
            logging.getLogger("api.gunicorn_conf").warning(
                "connections_lowered connections=%d wanted=%d open_files=%d",
                worker_connections,
                _WANTED_CONNECTIONS,
                raise_file_limit(),
            )
        gevent.spawn(RedisWatch(app_services).run_forever)
    gevent.spawn(app_services.metrics.run_forever)
