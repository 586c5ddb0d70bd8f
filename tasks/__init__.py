"""Does the work: the Celery app, the task body, the provider adapter, retries and recovery. Never imports Flask.

``celery -A tasks worker`` finds ``app`` here. Task modules are loaded by workers only (celeryconfig.imports).
"""

from celery import Celery

app = Celery("chatqueue")
app.config_from_object("celeryconfig")
