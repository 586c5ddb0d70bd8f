"""The settings, with a mistake in them told in one line."""

from pydantic import ValidationError

from jobs.settings import Settings, get_settings
from local.errors import CannotStart

_OWN_RULE = "Value error, "  # what pydantic puts before the text of our own checks


def load_settings() -> Settings:
    """Raises CannotStart, which names each bad variable and shows no value."""
    try:
        return get_settings()
    except ValidationError as error:
        raise CannotStart(f"bad setting: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(_explain_one(fault["loc"], fault["msg"]) for fault in faults)


def _explain_one(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix(_OWN_RULE).replace("Input should be", "must be")
    if not location:  # a rule between two settings: its text names both
        return text
    return f"{variable(str(location[0]))}: {text}"


def variable(field: str) -> str:
    """The environment variable of a field, given by the field's name or by its alias."""
    known = Settings.model_fields.get(field)
    if known is None:
        return field
    return str(known.validation_alias or f"{Settings.model_config['env_prefix']}{field}".upper())
