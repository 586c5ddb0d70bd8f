"""``python -m tests.support.settings_table`` writes the table of settings into docs/settings.md."""

import re

from pydantic import SecretStr

from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings

PAGE = PROJECT_ROOT / "docs" / "settings.md"
BLOCK = re.compile(r"(?<=-->\n)(.*?)(?=<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    """A Markdown table with one row per setting: variable, default, description."""
    rows = ["| variable | default | description |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"CHATQUEUE_{name.upper()}"
        default = field.default
        assert not isinstance(default, SecretStr)  # a secret has no default
        default_cell = "" if default is None else f"`{str(default).replace(str(PROJECT_ROOT) + '/', '')}`"
        rows.append(f"| `{variable}` | {default_cell} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: settings_table(), PAGE.read_text(), count=1))
