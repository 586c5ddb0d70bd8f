"""Compares chatqueue with its peers and with baselines that use no queue: ``make bench``.

`rows/` has one file for each table, `peers/` the compared programs, written as each project's documentation shows
them, and `systems.py` the command lines that start them.
"""
