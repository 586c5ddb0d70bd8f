"""Reads the providers file, and explains what is wrong with one."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr, ValidationError

from jobs.providers import ModelConfig, Price, ProviderConfig, ProviderRegistry, ProvidersConfig, TargetConfig

VARIABLE: Final = "CHATQUEUE_PROVIDERS_FILE"
_MAX_PROBLEMS: Final = 10  # in one message
_WORDING: Final = (  # pydantic's wording, and that of our messages
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^[A-Z]\w+ should"), "must"),
    (re.compile(r"a valid (tuple|list)"), "a list"),
    (re.compile(r"a valid (dictionary|mapping)( or object.*| or instance.*)?"), "a table"),
)
# The tables of the file: the path of keys to each, where None stands for any key.
_TABLES: Final[tuple[tuple[tuple[str | None, ...], type[BaseModel]], ...]] = (
    ((), ProvidersConfig),
    (("providers", None), ProviderConfig),
    (("models", None), ModelConfig),
    (("models", None, "price"), Price),
    (("models", None, "targets", None), TargetConfig),
)


def read_providers_file(path: Path, variables: Mapping[str, str | None]) -> ProviderRegistry:
    """The providers and models of a file. ``variables`` has the API keys, under the names that the file gives.

    Raises ValueError. Its message names each wrong key and what is allowed, and contains no value of the file.
    """
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ValueError(f"{VARIABLE}: cannot read the file ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{VARIABLE}: is not TOML{_position(error)}") from None
    try:
        config = ProvidersConfig.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{VARIABLE}: {'; '.join(_problems(error))}") from None
    return ProviderRegistry(config.providers, _api_keys(config, variables), config.models, config.aliases)


def _api_keys(config: ProvidersConfig, variables: Mapping[str, str | None]) -> dict[str, SecretStr]:
    found = {name: variables.get(provider.api_key_env or "") for name, provider in config.providers.items()}
    return {name: SecretStr(value) for name, value in found.items() if value}


def _position(error: ValueError) -> str:
    """Where the mistake is. The rest of the parser's message is left out: it may quote the file."""
    _, bracket, position = str(error).rpartition("(at ")
    return f" (at {position}" if bracket else ""


def _problems(error: ValidationError) -> Iterator[str]:
    details = error.errors(include_input=False, include_url=False, include_context=False)
    for detail in details[:_MAX_PROBLEMS]:
        yield _explain(tuple(map(str, detail["loc"])), detail["type"], detail["msg"])
    if len(details) > _MAX_PROBLEMS:
        yield f"and {len(details) - _MAX_PROBLEMS} more"


def _explain(path: tuple[str, ...], kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return f"{_place(path)}: unknown key; allowed: {', '.join(_allowed_keys(path[:-1]))}"
        case "missing":
            return f"{_place(path)}: is required"
        case _ if path[-1:] == ("api_key_env",):
            return f"{_place(path)}: must be the name of a variable in capitals, such as OPENAI_API_KEY, never the key"
    text = message
    for pattern, wording in _WORDING:
        text = pattern.sub(wording, text)
    return f"{_place(path)}: {text}" if path else text


def _place(path: tuple[str, ...]) -> str:
    """The path as people write it: ``models.gpt-5-mini.targets[0].model``."""
    keys = [f"[{key}]" if before == "targets" else f".{key}" for before, key in pairwise(("", *path))]
    return "".join(key for key in keys if key != ".[key]").removeprefix(".")


def _allowed_keys(path: tuple[str, ...]) -> Iterable[str]:
    for pattern, model in _TABLES:
        if len(pattern) == len(path) and all(want in (None, key) for want, key in zip(pattern, path, strict=True)):
            return model.model_fields
    return ()
