"""What the launcher prints once everything is running."""

from jobs.folders import SECRETS_FILE_NAME
from jobs.settings import Settings
from local.preflight import redis_address
from local.readiness import flower_prefix, web_url


def startup_banner(settings: Settings, flower_login: str) -> str:
    """The addresses of everything that runs, how to log in to Flower, and one command to try."""
    web = web_url(settings)
    return f"""\

chatqueue is running. Press Ctrl-C to stop; running jobs finish first.

  API     {web}/api/v1
  OpenAI  {web}/v1  (base_url of any OpenAI client)
  Docs    {web}/docs
  Flower  http://127.0.0.1:{settings.flower_port}{flower_prefix()}  {flower_login}
  Redis   {_redis(settings)}
  Model   {_model(settings)}

Try it:

  curl -s {web}/api/v1/chat/sync -H 'Content-Type: application/json' -d '{{"message": "Hello!"}}'
"""


def _redis(settings: Settings) -> str:
    address = redis_address(settings)
    return f"{address}  (embedded, data in {settings.data_dir})" if settings.has_embedded_redis else address


def _model(settings: Settings) -> str:
    if settings.has_offline_model:
        return f"offline stub (not a real model); set OPENAI_API_KEY in {SECRETS_FILE_NAME} to use OpenAI"
    return "the provider at OPENAI_BASE_URL" if settings.openai_base_url else "OpenAI"
