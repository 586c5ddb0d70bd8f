"""Everything that adapts gunicorn: its worker and its log. Imports neither Flask nor Redis.

gunicorn imports it before gevent patches the standard library, so nothing here may open or lock anything.
"""
