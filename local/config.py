"""Loads the settings and reports mistakes in them in one line."""

from pydantic import ValidationError

from jobs.settings import Settings, get_settings
from jobs.unknown_settings import UnknownSettings
from local.errors import CannotStart

_PYDANTIC_PREFIX = "Value error, "  # pydantic's prefix to the message of a validator


def load_settings() -> Settings:
    """The settings. Raises CannotStart, whose message names each bad variable and contains no value."""
    try:
        return get_settings()
    except ValidationError as error:
        raise CannotStart(f"invalid settings: {_explain(error)}") from None
    except UnknownSettings as error:
        raise CannotStart(f"unknown settings: {error}") from None


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
