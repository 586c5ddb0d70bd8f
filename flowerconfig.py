"""Flower's configuration. Flower reads this file when it is started from this folder: `celery -A tasks flower`."""

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).parent)
if _FOLDER not in sys.path:  # celery removes it again once it has found the app
    sys.path.insert(0, _FOLDER)

from jobs.settings.loading import load_settings_or_exit  # noqa: E402
from tasks.celery_ext import flower_guard  # noqa: E402

flower_guard.install(load_settings_or_exit())
