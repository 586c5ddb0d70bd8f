"""The documentation is correct: links, paths, settings, commands and tests that it names exist; snippets compile."""

import re
from functools import cache
from pathlib import Path

import pytest

from jobs.folders import PROJECT_ROOT
from tests.support.settings_table import BLOCK, PAGE, settings_table

README = PROJECT_ROOT / "README.md"
PROMISES = PROJECT_ROOT / "docs" / "promises.md"
DOCS = sorted((PROJECT_ROOT / "docs").rglob("*.md"))
TOP_LEVEL = [PROJECT_ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
PAGES = [*TOP_LEVEL, *DOCS]

MAX_README_LINES = 120  # a front page
MAX_IMAGE_BYTES = 80_000  # of an image in docs/images; a clone carries every version of it
PACKAGES = "api|bench|docs|documents|jobs|local|openai_format|tasks|tests"


def without_code(text: str) -> str:
    """The text without fenced code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return frozenset(slugs)


def links(page: Path) -> list[str]:
    """Relative targets of links and images."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text()))
    return [target for target in targets if "://" not in target]


def of_page(page: Path) -> str:
    return str(page.relative_to(PROJECT_ROOT))


def test_the_readme_is_a_front_page():
    """The README stays short; details belong into docs/."""
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_settings_table_is_the_settings_class():
    """Every setting, its default and its description; `python -m tests.support.settings_table` writes the table."""
    written = BLOCK.search(PAGE.read_text())

    assert written is not None
    assert written[1] == settings_table()


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_every_relative_link_resolves_with_its_anchor(page):
    """A renamed file or heading must not leave dead links."""
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_every_path_in_backticks_exists(page):
    """The documentation names only files and folders that exist."""
    named = set(re.findall(rf"`((?:{PACKAGES})/[\w/.-]*)`", page.read_text()))

    assert sorted(path for path in named if not (PROJECT_ROOT / path).exists()) == []


def test_every_promise_names_files_that_hold_tests():
    """Each row of the table names one file at least; each file exists and defines a test."""
    table = PROMISES.read_text().partition("## Not promised")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and not row.startswith("| promise")]
    files = {row: re.findall(r"`(tests/[\w/]+\.py)`", row) for row in rows}

    assert rows
    assert [row for row, named in files.items() if not named] == []
    for path in {path for named in files.values() for path in named}:
        assert re.search(r"^\s*(async )?def test_", (PROJECT_ROOT / path).read_text(), re.MULTILINE), path


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_every_python_snippet_compiles(page):
    """Readers copy snippets; each must at least be valid Python."""
    for snippet in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        compile(snippet, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_every_make_target_exists(page):
    """The documentation names only targets of the Makefile."""
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    named = set(re.findall(r"`?make ([a-z]+(?:-[a-z]+)*)(?:`| ARGS|\n|  )", page.read_text()))

    assert sorted(target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)) == []


def test_every_image_is_small_and_used():
    """A clone downloads every version of an image, so images are small and none is unused."""
    images = sorted((PROJECT_ROOT / "docs" / "images").iterdir())
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(page)}

    assert [image.name for image in images if image.stat().st_size > MAX_IMAGE_BYTES] == []
    assert [image.name for image in images if image.resolve() not in shown] == []


def test_every_page_is_in_the_index():
    """docs/README.md links every page; docs/decisions/README.md every decision."""
    unlinked = []
    for index in (PROJECT_ROOT / "docs" / "README.md", PROJECT_ROOT / "docs" / "decisions" / "README.md"):
        linked = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
        unlinked += [page.name for page in sorted(index.parent.glob("*.md")) if page != index and page not in linked]

    assert unlinked == []
