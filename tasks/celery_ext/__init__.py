"""Everything that extends or bends Celery and kombu."""
