"""Print every line of a tracked file that uses a word of plain_words.txt; exit 1 if there is one."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = ROOT / ".ci" / "plain_words.txt"
SKIPPED = re.compile(r"LICENSE|.*requirements.*\.txt|.*\.(png|svg|pdf|woff2?)")


def read_rules() -> list[tuple[re.Pattern[str], str]]:
    """Each pattern, as whole words in any case, and its replacement."""
    rows = [line.split("\t") for line in WORDS.read_text().splitlines() if not line.startswith("#")]
    return [(re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), advice) for pattern, advice in rows]


def tracked_files() -> list[Path]:
    """All files in git whose text is the project's own."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and not SKIPPED.fullmatch(name)]


def findings() -> list[str]:
    """One line for each word found: place, word, what to write instead."""
    rules = read_rules()
    return [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}; write: {advice}"
        for path in tracked_files()
        if path.is_file()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        for pattern, advice in rules
        for match in pattern.finditer(line)
    ]


if __name__ == "__main__":
    found = findings()
    print("\n".join(found) or "plain words: none of the avoided ones is used")  # noqa: T201
    sys.exit(bool(found))
