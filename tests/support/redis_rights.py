"""The Redis users that docs/operations.md describes."""

import re
from typing import Final

from tests.support.processes import PROJECT_ROOT

PASSWORD: Final = "p"
_BLOCK: Final = re.compile(r"^```text\nuser (chatqueue-\w+) (.*?)^```", re.MULTILINE | re.DOTALL)


def documented_users() -> dict[str, list[str]]:
    """The rules of each user, by its name. The password is PASSWORD."""
    text = (PROJECT_ROOT / "docs" / "operations.md").read_text()
    return {name: rules.replace("PASSWORD", PASSWORD).split() for name, rules in _BLOCK.findall(text)}
