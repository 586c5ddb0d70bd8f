"""What the launcher says when all is up."""

from jobs.settings import Settings
from local.preflight import redis_address
from local.readiness import reachable


def welcome(settings: Settings) -> str:
    web = f"http://{_in_url(reachable(settings.web_host))}:{settings.web_port}"
    return f"""\

All is up. Ctrl-C stops it, and running jobs finish first.

  API     {web}/api/v1
  Docs    {web}/docs
  Flower  http://127.0.0.1:{settings.flower_port}
  Redis   {_redis(settings)}
  Model   {_model(settings)}

Try it:

  curl -s {web}/api/v1/chat/sync -H 'Content-Type: application/json' -d '{{"message": "Hello!"}}'
"""


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _redis(settings: Settings) -> str:
    where = redis_address(settings)
    return f"{where}, embedded, kept in {settings.data_dir}" if settings.has_embedded_redis else where


def _model(settings: Settings) -> str:
    if settings.has_offline_model:
        return "the offline one, which is no model; for a real one put OPENAI_API_KEY into .env.local"
    return "the one of OPENAI_BASE_URL" if settings.openai_base_url else "OpenAI, with your OPENAI_API_KEY"
