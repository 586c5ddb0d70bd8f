"""Loads the settings at the start of a process, and reports mistakes in them in one line."""

import sys

from pydantic import ValidationError

from jobs.settings import Settings, get_settings
from jobs.settings.unknown_names import UnknownSettings

_PYDANTIC_PREFIX = "Value error, "  # pydantic's prefix to the message of a validator


class InvalidSettings(ValueError):
    """The message names each bad variable and the rule, and contains no value."""


def load_settings() -> Settings:
    """The settings. Raises InvalidSettings."""
    try:
        return get_settings()
    except ValidationError as error:
        raise InvalidSettings(f"invalid settings: {_explain(error)}") from None
    except UnknownSettings as error:
        raise InvalidSettings(f"unknown settings: {error}") from None


def load_settings_or_exit() -> Settings:
    """The settings. Prints one line and ends the process with a non-zero exit code if they are invalid.

    For the configuration files of gunicorn, Celery and Flower, which would print a traceback.
    """
    try:
        return load_settings()
    except InvalidSettings as error:
        sys.exit(f"chatqueue: {error}")


def _explain(error: ValidationError) -> str:
    errors = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(_explain_error(details["loc"], details["msg"]) for details in errors)


def _explain_error(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix(_PYDANTIC_PREFIX).replace("Input should be", "must be")
    if not location:  # a rule between two settings: the message names both
        return text
    return f"{variable_name(str(location[0]))}: {text}"


def variable_name(field: str) -> str:
    """The environment variable of a settings field. `field` is its name or its alias."""
    field_info = Settings.model_fields.get(field)
    if field_info is None:
        return field
    return str(field_info.validation_alias or f"{Settings.model_config['env_prefix']}{field}".upper())
