"""Celery's own words: each knob with its reason. Values that a deployment may change come from jobs.settings.

Celery loads this file when it first needs its configuration, not when `tasks` is imported.
The figures named below: Celery 5.7 and kombu 5.7 on Redis, measured under kill -9, dropped and silent connections.
"""

from jobs.redis_urls import for_backend, for_broker
from jobs.settings import get_settings
from jobs.storage.keys import DEFAULT_QUEUE, NORMAL_PRIORITY

_settings = get_settings()
_broker = for_broker(_settings.broker_url.get_secret_value(), _settings.redis_connect_seconds)
_backend = for_backend(_settings.record_url.get_secret_value(), _settings.redis_connect_seconds)

broker_url = _broker.url
result_backend = _backend.url
imports = ("tasks.worker",)  # loaded in workers only: the web process never loads the SDK

# The message
task_default_queue = DEFAULT_QUEUE
task_default_priority = NORMAL_PRIORITY  # recovered and retried jobs are published with high priority
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True  # the finish verb writes the answer; a publish costs 1 command instead of 3
result_expires = _settings.result_ttl_seconds
task_acks_late = (
    True  # keeps the count of free slots exact; nothing is sent for it (tasks/celery_ext/redis_transport.py)
)
task_reject_on_worker_lost = True  # prefork: a lost child's message comes back; the claim decides what it is worth
worker_prefetch_multiplier = 1  # nothing is reserved beyond what runs
task_track_started = False  # the record says it
task_publish_retry_policy = {
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.2,
}

# The worker
worker_pool = "tasks.celery_ext.pool:TaskPool"  # `-P threads`, `-P prefork` and `-P solo` work as well
worker_send_task_events = True  # Flower, with no flag; events carry the id and the state, never a text
worker_cancel_long_running_tasks_on_connection_loss = False  # the lease decides; a drop must not kill paid-for calls
worker_hijack_root_logger = False
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # default 100, then a worker gives up
broker_connection_timeout = 2
broker_pool_acquire_timeout = 2  # the default waits for ever

# The transport: without time-outs a half-open connection is never noticed and a publisher hangs over a minute
broker_transport_options = {
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": False,
    "max_connections": _settings.worker_concurrency + 50,  # the default of 10 leaked slots
    **_broker.transport_options,  # of Sentinels
}
if _broker.tls is not None:  # for `inspect conf` kombu reads the URL without this, and warns of "insecure" TLS in vain
    broker_use_ssl = _broker.tls
if _settings.broker_url.get_secret_value().startswith(("amqp://", "amqps://")):  # RabbitMQ
    task_default_queue_type = "quorum"  # a classic queue lives on one node and is lost with its disk
    broker_transport_options = {
        "confirm_publish": True
    }  # a message counts as published when the broker has it, not before

# The result backend
redis_socket_timeout = 5
redis_socket_connect_timeout = 2
redis_socket_keepalive = not result_backend.startswith("redis+socket://")  # a socket's connection knows no such thing
result_backend_transport_options = _backend.transport_options
if _backend.tls is not None:  # set to None it breaks `inspect conf`
    redis_backend_use_ssl = _backend.tls
