"""The user and the password of Flower under `make up`. Without one Flower's buttons do not work."""

import os
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

VARIABLE: Final = "FLOWER_BASIC_AUTH"  # read by Flower itself; in no argument, which other users could see
_OWN_VARIABLES: Final = (VARIABLE, "FLOWER_AUTH")  # how an operator configures Flower's authentication
_USER: Final = "chatqueue"
_RANDOM_BYTES: Final = 12


@dataclass(frozen=True)
class FlowerPassword:
    """A random password for one run; None where the operator has configured Flower's authentication."""

    password: str | None = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        is_configured = any(os.environ.get(name) for name in _OWN_VARIABLES)
        return cls(None if is_configured else secrets.token_urlsafe(_RANDOM_BYTES))

    @property
    def environment(self) -> dict[str, str]:
        """The variables to add to Flower's environment."""
        return {} if self.password is None else {VARIABLE: f"{_USER}:{self.password}"}

    @property
    def hint(self) -> str:
        """How to log in, for the person who started it."""
        return "(see FLOWER_BASIC_AUTH)" if self.password is None else f"(user {_USER}, password {self.password})"
