"""How processes connect to the message broker of the settings. Pure; celeryconfig.py and tasks/broker.py use it."""

from typing import Any, Final

from jobs.redis_urls import for_broker
from jobs.settings import Settings

_AMQP_SCHEMES: Final = ("amqp://", "amqps://")

# Without timeouts a half-open connection is never detected and a publisher hangs for over a minute.
_REDIS_OPTIONS: Final = {
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": False,
}
_CONNECTIONS_BEYOND_SLOTS: Final = 50  # slots leaked with the default of 10 connections


def is_amqp(settings: Settings) -> bool:
    """True for RabbitMQ."""
    return settings.broker_url.get_secret_value().startswith(_AMQP_SCHEMES)


def transport_options(settings: Settings) -> dict[str, Any]:
    """Options of kombu's transport. For RabbitMQ none: tasks/celery_ext/amqp_transport.py limits its times."""
    if is_amqp(settings):
        return {}
    broker = for_broker(settings.broker_url.get_secret_value(), settings.redis_connect_seconds)
    max_connections = settings.worker_concurrency + _CONNECTIONS_BEYOND_SLOTS
    return {**_REDIS_OPTIONS, "max_connections": max_connections, **broker.transport_options}  # the last for Sentinels
