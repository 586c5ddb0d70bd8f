"""Loads the settings for the programs of this package."""

from jobs.settings import Settings, loading
from local.errors import CannotStart


def load_settings() -> Settings:
    """The settings. Raises CannotStart, whose message names each bad variable and contains no value."""
    try:
        return loading.load_settings()
    except loading.InvalidSettings as error:
        raise CannotStart(str(error)) from None
