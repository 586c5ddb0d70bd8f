"""What is written is true: the settings table is the settings class, and links, files and commands exist."""

import re

from pydantic import SecretStr

from jobs.settings import PROJECT_ROOT, Settings

README = (PROJECT_ROOT / "README.md").read_text()
PAGES = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").glob("*.md"))]
PACKAGES = "api|bench|docs|documents|jobs|local|tasks|tests"


def settings_table() -> str:
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"CHATQUEUE_{name.upper()}"
        default = field.default
        shown = "" if default is None else f"`{str(default).replace(str(PROJECT_ROOT) + '/', '')}`"
        assert not isinstance(default, SecretStr)
        rows.append(f"| `{variable}` | {shown} | {field.description} |")
    return "\n".join(rows)


def test_the_settings_table_is_the_settings_class():
    """Every setting, its default and its meaning."""
    written = re.search(r"<!-- settings: .*? -->\n(.*?)\n<!-- /settings -->", README, re.DOTALL)

    assert written is not None
    assert written[1] == settings_table()


def test_every_file_that_a_page_names_exists():
    texts = {page: page.read_text() for page in PAGES}
    named = {
        PROJECT_ROOT / path for text in texts.values() for path in re.findall(rf"`((?:{PACKAGES})/[\w/.]+)`", text)
    }
    linked = {page.parent / path for page, text in texts.items() for path in re.findall(r"\]\(([\w/.]+)\)", text)}

    assert named
    assert linked
    assert [path for path in named | linked if not path.exists()] == []


def test_every_make_target_that_the_readme_names_exists():
    makefile = (PROJECT_ROOT / "Makefile").read_text()

    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
