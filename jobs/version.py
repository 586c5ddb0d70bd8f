"""The version of this program, as in pyproject.toml; it also runs from a checkout, where no package is installed."""

from typing import Final

VERSION: Final = "0.1.0"
