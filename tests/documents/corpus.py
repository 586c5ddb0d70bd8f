"""``python -m tests.documents.corpus``: the text of every PDF of three Debian packages, compared with poppler's.

Downloads the packages with apt-get into a temporary folder, and prints a table. Word recall is the share of the words
on a page of pdftotext that our page has too. The exit code is 1 if a limit is missed, and 2 if a program is missing.
"""

import argparse
import asyncio
import gzip
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from documents.factory import make_reader
from documents.words import fold
from jobs.settings import Settings

PACKAGES: Final = ("bash-doc", "debian-policy", "zsh-doc")
PROGRAMS: Final = ("apt-get", "dpkg-deb", "pdftotext")
MIN_MEDIAN: Final = 1.0
MIN_5TH_PERCENTILE: Final = 0.95
_HYPHEN_AT_LINE_END: Final = re.compile(r"[-\u2010\u00ad]\s*\n\s*")
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class Comparison:
    """One PDF: the number of pages by both readers, and the word recall of each page that has words."""

    name: str
    pages: int
    poppler_pages: int
    recalls: tuple[float, ...]

    def row(self) -> str:
        return f"{self.name:32} {self.pages:6} {self.poppler_pages:8} {_figures(self.recalls)}"


def main(arguments: Sequence[str] | None = None) -> int:
    packages = _parse(arguments)
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    print(f"{'PDF':32} {'pages':>6} {'poppler':>8} {'median':>8} {'5 %':>8} {'least':>8}")
    compared = []
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            for pdf in _pdfs(package, Path(folder)):
                compared.append(compare(pdf))
                print(compared[-1].row(), flush=True)
    recalls = [recall for comparison in compared for recall in comparison.recalls]
    has_equal_pages = all(comparison.pages == comparison.poppler_pages for comparison in compared)
    print(f"{len(compared)} PDFs, {len(recalls)} pages with words{'':14}{_figures(recalls)}")
    return 0 if recalls and has_equal_pages and is_good(recalls) else 1


def is_good(recalls: Sequence[float]) -> bool:
    return statistics.median(recalls) >= MIN_MEDIAN and _percentile(recalls, 5) >= MIN_5TH_PERCENTILE


def compare(pdf: Path) -> Comparison:
    ours = asyncio.run(_read(pdf))
    poppler = _run("pdftotext", "-enc", "UTF-8", str(pdf), "-").decode().split("\f")[:-1]
    recalls = [word_recall(theirs, text) for theirs, text in zip(poppler, ours, strict=False) if _words(theirs)]
    return Comparison(pdf.name, len(ours), len(poppler), tuple(recalls))


def word_recall(expected: str, text: str) -> float:
    """The share of the words of `expected` that are in the text, as often. Words cut at line ends count as whole."""
    expected_words = _words(expected)
    found = expected_words & _words(text)
    return found.total() / expected_words.total()


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(fold(_HYPHEN_AT_LINE_END.sub("", text).replace("-", ""))))


async def _read(pdf: Path) -> list[str]:
    """The texts of the pages, from the same confined process as in an ingest."""
    settings = Settings().model_copy(update={"document_max_pages": 100_000, "document_read_seconds": 600})
    async with aclosing(make_reader(settings).read(pdf, "pdf")) as pages:
        return [chunked.page.text async for chunked in pages]


def _pdfs(package: str, folder: Path) -> Iterator[Path]:
    """Every PDF of the package, unpacked."""
    target = folder / package
    target.mkdir()
    _run("apt-get", "download", package, cwd=target)
    (archive,) = target.glob("*.deb")
    _run("dpkg-deb", "-x", str(archive), str(target))
    for path in sorted(target.rglob("*.pdf*")):
        if path.is_symlink():
            continue
        if path.suffix == ".gz":
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        yield path.with_suffix("") if path.suffix == ".gz" else path


def _run(*command: str, cwd: Path | None = None) -> bytes:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=300).stdout


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[(len(values) - 1) * percent // 100]


def _figures(recalls: Sequence[float]) -> str:
    if not recalls:
        return f"{'-':>8} {'-':>8} {'-':>8}"
    return f"{statistics.median(recalls):8.4f} {_percentile(recalls, 5):8.4f} {min(recalls):8.4f}"


def _parse(arguments: Sequence[str] | None) -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.documents.corpus", description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), help="Debian packages (default: %(default)s)")
    return list(parser.parse_args(arguments).packages)


if __name__ == "__main__":
    sys.exit(main())
