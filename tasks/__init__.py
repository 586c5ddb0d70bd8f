"""The worker side: the Celery app, the task body, the provider adapter, retries and maintenance. Never imports Flask.

``celery -A tasks worker`` finds ``app`` here. Only workers load the task modules (celeryconfig.imports).
"""

from celery import Celery

app = Celery("chatqueue")
app.config_from_object("celeryconfig")
