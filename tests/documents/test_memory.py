"""The memory of a process that stores chunks."""

import pytest

from documents import memory
from tests.support.fakes import fake


@pytest.mark.parametrize(("environment", "calls"), [({}, [(-8, 2)]), ({"MALLOC_ARENA_MAX": "4"}, [])])
def test_arenas_are_limited_unless_the_operator_has_limited_them(monkeypatch, environment, calls):
    """The limit is set in the process itself, so it holds however the worker was started."""
    made = []
    monkeypatch.setattr(memory, "_c_library", lambda: fake(mallopt=lambda *arguments: made.append(arguments)))
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    memory.limit_arenas()

    assert made == calls


def test_a_system_without_glibc_does_without(monkeypatch):
    """Musl and macOS have neither function."""
    monkeypatch.setattr(memory, "_c_library", lambda: None)

    memory.limit_arenas()
    memory.give_back_free_memory()
