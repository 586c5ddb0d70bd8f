"""Compares chatqueue with its peers and with the floor below all of them: ``make bench``.

`rows/` holds one file for each family of figures, `peers/` what is compared, written as each project's own
documentation shows it; `systems.py` says how each is started.
"""
