"""Celery's configuration, each setting with its reason. Values that a deployment may change come from jobs.settings.

Celery loads this file when it first needs its configuration, not when `tasks` is imported. The figures below were
measured with Celery 5.7 and kombu 5.7 on Redis under kill -9 and with dropped and silent connections.
"""

from jobs.priorities import NORMAL_PRIORITY
from jobs.redis_urls import for_backend, for_broker
from jobs.settings.loading import load_settings_or_exit
from jobs.storage.keys import DEFAULT_QUEUE
from tasks.broker_options import is_amqp, transport_options

_settings = load_settings_or_exit()
_broker = for_broker(_settings.broker_url.get_secret_value(), _settings.redis_connect_seconds)
_backend = for_backend(_settings.record_url.get_secret_value(), _settings.redis_connect_seconds)

broker_url = _broker.url
result_backend = _backend.url
imports = ("tasks.celery_signals",)  # only workers import it: the web process never loads the SDK

# The message
task_default_queue = DEFAULT_QUEUE
task_default_priority = NORMAL_PRIORITY  # recovered and retried jobs are published with high priority
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True  # finish.lua writes the answer; a publish takes 1 command instead of 3
result_expires = _settings.result_ttl_seconds
# Keeps the count of free slots exact; no acknowledgement is sent for it (tasks/celery_ext/redis_transport.py).
task_acks_late = True
task_reject_on_worker_lost = True  # prefork: a lost child's message returns; the claim decides whether it still matters
worker_prefetch_multiplier = 1  # a worker reserves no messages beyond its running jobs
task_track_started = False  # the record contains the state
task_publish_retry_policy = {
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.2,
}

# The worker
worker_pool = "tasks.celery_ext.asyncio_pool:TaskPool"  # `-P threads`, `-P prefork` and `-P solo` work as well
worker_send_task_events = True  # for Flower, without a flag; events contain the id and the state, never a text
worker_cancel_long_running_tasks_on_connection_loss = (
    False  # the lease decides; a dropped connection must not kill paid calls
)
worker_consumer = "tasks.celery_ext.consumer:Consumer"  # waits for a broker that hangs or refuses
worker_hijack_root_logger = False
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker gives up after the default of 100
broker_connection_timeout = 2
broker_pool_acquire_timeout = 2  # the default waits forever

# The transport
broker_transport_options = transport_options(_settings)
if _broker.tls is not None:  # `inspect conf` reads the URL without it: its warning of "insecure" TLS is wrong
    broker_use_ssl = _broker.tls
if is_amqp(_settings):  # RabbitMQ
    broker_channel_error_retry = True  # a refusal (a right, a queue) is waited out; the default ends the worker
    broker_heartbeat = 20  # seconds; a silent connection is noticed after two, with the default after 4 minutes
    # Exclusive, it would be locked as long as the broker has not noticed that the worker's former connection is dead.
    # It would also keep a second worker on the same machine from starting. Not durable and not exclusive is deprecated.
    control_queue_exclusive = False
    control_queue_durable = True
    task_default_queue_type = "quorum"  # a classic queue lives on one node and is lost with its disk

# The result backend
redis_socket_timeout = 5
redis_socket_connect_timeout = 2
redis_socket_keepalive = not result_backend.startswith("redis+socket://")  # a socket's connection does not support it
result_backend_transport_options = _backend.transport_options
if _backend.tls is not None:  # a value of None breaks `inspect conf`
    redis_backend_use_ssl = _backend.tls
