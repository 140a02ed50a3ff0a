"""A small BERT of invented words, drawn at random."""

from typing import Any

import numpy as np

from modeling.encoders.transformer.weights import Architecture, Weights

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SYLLABLES = ["ba", "de", "fi", "go", "lu", "me", "no", "pa", "ri", "su", "ta", "vo"]
WORDS = [first + second for first in SYLLABLES for second in SYLLABLES]


def make_tensors(config: dict[str, Any], seed: int = 1) -> dict[str, np.ndarray]:
    """The weights of a small BERT as Hugging Face names them, drawn at random."""
    rng = np.random.default_rng(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]

    def draw(*shape: int, middle: float = 0.0) -> np.ndarray:
        return (middle + 0.15 * rng.standard_normal(shape)).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": draw(config["vocab_size"], width) * 4,
        "embeddings.position_embeddings.weight": draw(config["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": draw(2, width),
        "embeddings.LayerNorm.weight": draw(width, middle=1),
        "embeddings.LayerNorm.bias": draw(width),
        "pooler.dense.weight": draw(width, width),  # of no use here, and there in real folders
    }
    for layer in range(config["num_hidden_layers"]):
        block = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            tensors[f"{block}.attention.self.{name}.weight"] = draw(width, width)
            tensors[f"{block}.attention.self.{name}.bias"] = draw(width)
        shapes = {
            "attention.output": (width, width),
            "intermediate": (inner, width),
            "output": (width, inner),
        }
        for name, shape in shapes.items():
            tensors[f"{block}.{name}.dense.weight"] = draw(*shape)
            tensors[f"{block}.{name}.dense.bias"] = draw(shape[0])
            if name != "intermediate":
                tensors[f"{block}.{name}.LayerNorm.weight"] = draw(width, middle=1)
                tensors[f"{block}.{name}.LayerNorm.bias"] = draw(width)
    return tensors


def make_config(**changes: Any) -> dict[str, Any]:
    """The config.json of a small BERT."""
    return {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "max_position_embeddings": 40,
        "vocab_size": len(PIECES) + len(WORDS),
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    } | changes


ARCHITECTURE = Architecture(2, 4, 32, 64, len(PIECES) + len(WORDS), 40)


def make_weights(seed: int = 1, architecture: Architecture = ARCHITECTURE) -> Weights:
    """Weights of a transformer as they are kept here."""
    rng = np.random.default_rng(seed)
    return {
        name: (name.endswith("scale") + 0.2 * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in architecture.list_shapes().items()
    }
