"""What a job is and where it is stored. Imports no other package of chatqueue, and no Flask, Celery or openai."""
