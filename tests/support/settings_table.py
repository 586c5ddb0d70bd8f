"""The settings as a Markdown table. ``python -m tests.support.settings_table`` writes it into docs/settings.md."""

import re

from pydantic import SecretStr

from jobs.settings import PROJECT_ROOT, Settings

PAGE = PROJECT_ROOT / "docs" / "settings.md"
BLOCK = re.compile(r"(?<=-->\n)(.*?)(?=<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    """One row per setting: variable, default, description."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"CHATQUEUE_{name.upper()}"
        default = field.default
        assert not isinstance(default, SecretStr)  # a secret has no default
        shown = "" if default is None else f"`{str(default).replace(str(PROJECT_ROOT) + '/', '')}`"
        rows.append(f"| `{variable}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: settings_table(), PAGE.read_text(), count=1))
