"""The registry of the kinds' work."""

from jobs.kinds import KINDS
from tasks.handlers import HANDLERS


def test_every_kind_has_its_work():
    """A job of a kind that no worker can do would fail in every attempt."""
    assert HANDLERS.keys() == KINDS.keys()
