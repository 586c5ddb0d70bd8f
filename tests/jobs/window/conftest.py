"""Jobs, workers and providers in virtual time."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobs.settings import Settings
from jobs.storage.sync_store import Store
from tests.jobs.window.simulation import Simulation
from tests.support.virtual_time import virtual_clock

IS_LARGE = bool(os.environ.get("LARGE_SIMULATIONS"))  # at full size; they print figures: use -s


def show(figures: str) -> None:
    """Shown with -s, and when the test fails."""
    print(figures)  # noqa: T201


@pytest.fixture
def virtual_time() -> Iterator[None]:
    """The scripts read a clock that the test sets."""
    with virtual_clock():
        yield


@pytest.fixture
def simulate(store: Store, settings: Settings, virtual_time: None) -> Callable[..., Simulation]:
    """Builds a simulation; see there for the options."""

    def build(**options: Any) -> Simulation:
        return Simulation(store, settings, **options)

    return build
