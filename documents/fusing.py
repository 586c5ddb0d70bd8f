"""Fusing: one ranking out of several, by reciprocal rank.

LanceDB can fuse by itself, but keeps neither the cosine nor the candidates of each search, and both are needed to
tell whether anything fits at all.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

_RANK_CONSTANT: Final = 60  # the usual one: how soon later ranks count as much as earlier ones


def fuse(rankings: Sequence[Sequence[str]]) -> list[tuple[str, float]]:
    """Keys with their scores, the best first; equal scores in the order of their keys."""
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (_RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
