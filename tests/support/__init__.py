"""Helpers shared by the tests: processes, waiting, the offline model, a deployed stack."""
