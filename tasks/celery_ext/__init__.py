"""Everything that extends or patches Celery and kombu."""
