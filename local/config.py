"""Loads the settings for the programs of this package."""

from jobs import settings_loading
from jobs.settings import Settings
from local.errors import CannotStart


def load_settings() -> Settings:
    """The settings. Raises CannotStart, whose message names each bad variable and contains no value."""
    try:
        return settings_loading.load_settings()
    except settings_loading.InvalidSettings as error:
        raise CannotStart(str(error)) from None
