"""The cosine from which a chunk matches a question, measured for each embedding model.

Models differ: texts that have nothing to do with each other have a cosine near 0.06 with MiniLM and near 0.73 with
multilingual-e5-small. So the model embeds four questions and four unrelated texts once. The mean of their cosines is
its baseline, and a chunk matches if its cosine has covered MIN_SHARE of the way from there to 1.
"""

import math
from collections.abc import Sequence
from typing import Final

# Measured with MiniLM and multilingual-e5-small on questions in 17 languages: keeps 51 of 51 sentences that answer a
# question, and at most 6 % of the questions on other subjects. Smaller shares keep more of these (0.25: 8 to 18 %).
MIN_SHARE: Final = 0.35
_QUESTIONS: Final = (
    "How do plants turn sunlight into sugar?",
    "Which train leaves for Vienna in the morning?",
    "Who composed the opera about the barber?",
    "What does a lawyer charge for a divorce?",
)
_UNRELATED: Final = (
    "The recipe needs two eggs, a cup of flour and a pinch of salt.",
    "The server writes its log to disk every five seconds.",
    "In the second half the goalkeeper saved a penalty.",
    "The glacier has lost a third of its ice since 1950.",
)
PROBES: Final = _QUESTIONS + _UNRELATED  # the texts to embed, once for each model


def measure_min_similarity(vectors: Sequence[Sequence[float]]) -> float:
    """The minimum cosine, from the vectors of PROBES in order."""
    questions, unrelated = vectors[: len(_QUESTIONS)], vectors[len(_QUESTIONS) :]
    cosines = [_cosine(question, text) for question in questions for text in unrelated]
    baseline = math.fsum(cosines) / len(cosines)
    return baseline + MIN_SHARE * (1 - baseline)


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = math.hypot(*a) * math.hypot(*b)
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0
