"""What a job is and where it is kept. Imports nothing of ours, no Flask, no Celery, no openai."""
