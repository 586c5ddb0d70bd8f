"""Runs the whole system on one machine: the launcher, the embedded Redis and the offline model."""
