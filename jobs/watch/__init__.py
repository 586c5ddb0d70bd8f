"""Notification of changes of jobs, within one process."""
