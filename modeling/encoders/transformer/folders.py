"""Reading a transformer from a folder: a configuration, a tokenizer and weights, nothing that is run.

The layout is Hugging Face's, alone or as a part of a sentence-transformers folder. Weights are read from safetensors
only: other files of weights are pickles, which can do anything when they are opened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.encoder_folders import LOCAL, PACKAGED, read_encoder_folders

from .packages import HINT, load_package
from .tokens import define_by_vocabulary
from .weights import Architecture, Weights, check_weights

SUPPORTED = ("bert", "roberta", "xlm-roberta")
WEIGHTS = "model.safetensors"
MOST_JSON_MB = 64  # of a tokenizer; the largest in use, of 250,000 pieces, has 17


@dataclass(frozen=True)
class Checkpoint:
    """A transformer as it was before it is taught anything here.

    Attributes
    ----------
    name : what the installation calls it
    architecture, weights : see `weights`
    tokenizer : the content of a tokenizer.json
    max_tokens : the longest text it was made for
    """

    name: str
    architecture: Architecture
    weights: Weights
    tokenizer: bytes
    max_tokens: int


def find_folder(name: str, environment: Mapping[str, str] = os.environ) -> tuple[str, Path]:
    """Return name and folder of one of the installation's encoders; '' means its own, else the packaged one.

    Raises ValueError, with the names there are, for another name.
    """
    folders = read_encoder_folders(environment)
    if not folders:
        raise ValueError(
            f"No transformer encoder is on this machine: for the packaged MiniLM {HINT}; for another, name its folder "
            "in ENCODER_FOLDER."
        )
    chosen = name or next((usual for usual in (LOCAL, PACKAGED) if usual in folders), min(folders))
    if chosen not in folders:
        raise ValueError(
            f"This installation has no encoder named '{name:.40}'; there are: {', '.join(sorted(folders))}."
        )
    return chosen, folders[chosen]


def read_checkpoint(name: str, folder: Path) -> Checkpoint:
    """Read the transformer of a folder.

    Raises
    ------
    ValueError
        If a file is missing or cannot be read, or the transformer is of a kind that is not supported, with what is.
    PackageMissing
        If tokenizers or safetensors is not installed.
    """
    if not folder.is_dir():
        raise ValueError(f"The folder of the encoder '{name}', {folder}, does not exist.")
    try:
        root = _find_root(folder)
        config = _read_json(root / "config.json")
        architecture = _read_architecture(config)
        weights = _read_weights(root, config, architecture)
        architecture, weights = _shift_positions(config, architecture, weights)
        check_weights(weights, architecture)
        tokenizer = _read_tokenizer(root, config)
    except (ValueError, OSError) as error:
        raise ValueError(f"The encoder '{name}' in {folder} cannot be used: {error}") from error
    return Checkpoint(name, architecture, weights, tokenizer, _read_max_tokens(root, architecture))


def _find_root(folder: Path) -> Path:
    """Return where the transformer lies: in the folder itself, or in the part that modules.json names."""
    if not (folder / "modules.json").is_file():
        return folder
    modules = json.loads((folder / "modules.json").read_text())
    is_list = isinstance(modules, list) and all(isinstance(module, dict) for module in modules)
    for module in modules if is_list else ():
        if str(module.get("type", "")).endswith(".Transformer"):
            root = (folder / str(module.get("path", ""))).resolve()
            if not root.is_relative_to(folder.resolve()):
                raise ValueError("modules.json names a folder outside of it")
            return root
    raise ValueError("modules.json names no transformer")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing; a folder has config.json, tokenizer.json and {WEIGHTS}")
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no object")
    return found


def _read_architecture(config: Mapping[str, Any]) -> Architecture:
    kind = config.get("model_type")
    if kind not in SUPPORTED:
        raise ValueError(f"it is of the kind {kind!r}; supported are {', '.join(SUPPORTED)}")
    if config.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"its activation is {config['hidden_act']!r}; supported is 'gelu'")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(f"its positions are {config['position_embedding_type']!r}; supported is 'absolute'")
    try:
        return Architecture(
            n_layers=config["num_hidden_layers"],
            n_heads=config["num_attention_heads"],
            width=config["hidden_size"],
            inner_width=config["intermediate_size"],
            n_tokens=config["vocab_size"],
            n_positions=config["max_position_embeddings"],
            norm_floor=float(config.get("layer_norm_eps", 1e-12)),
        )
    except KeyError as error:
        raise ValueError(f"config.json lacks {error}") from error


def _read_weights(root: Path, config: Mapping[str, Any], architecture: Architecture) -> Weights:
    path = root / WEIGHTS
    if not path.is_file():
        others = sorted(
            item.name for item in root.glob("*") if item.suffix in (".bin", ".pt", ".safetensors")
        )
        found = f", though {', '.join(others)} is there" if others else ""
        raise ValueError(
            f"{WEIGHTS} is missing{found}; weights are read from this one file and from no pickle"
        )
    safetensors = load_package("safetensors", "Reading the weights of a transformer")
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            names = {_name_plainly(name): name for name in file.keys()}  # noqa: SIM118  it is no mapping

            def get(name: str) -> NDArray[np.float32]:
                if name not in names:
                    raise ValueError(f"{WEIGHTS} lacks '{name}'")
                return np.asarray(file.get_tensor(names[name]), dtype=np.float32)

            return _arrange(get, architecture.n_layers, "embeddings.token_type_embeddings.weight" in names)
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        # NumPy has no bfloat16, which the package tells by one of the latter two.
        raise ValueError(f"{WEIGHTS} cannot be read as numbers of 16, 32 or 64 bits: {error}") from error


def _name_plainly(name: str) -> str:
    """Return a tensor's name without the model's, and with the names that layer norms have today."""
    for prefix in ("bert.", "roberta."):
        name = name.removeprefix(prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _arrange(get: Any, n_layers: int, has_kinds: bool) -> Weights:
    positions = get("embeddings.position_embeddings.weight")
    if has_kinds:
        positions = positions + get("embeddings.token_type_embeddings.weight")[0]
    weights: Weights = {
        "tokens": get("embeddings.word_embeddings.weight"),
        "positions": positions,
        "norm_scale": get("embeddings.LayerNorm.weight"),
        "norm_shift": get("embeddings.LayerNorm.bias"),
    }
    for layer in range(n_layers):
        block = f"encoder.layer.{layer}"
        parts = [f"{block}.attention.self.{part}" for part in ("query", "key", "value")]
        weights[f"{layer}.attend"] = np.concatenate([get(f"{part}.weight") for part in parts]).T
        weights[f"{layer}.attend_bias"] = np.concatenate([get(f"{part}.bias") for part in parts])
        for ours, theirs in (
            ("mix", "attention.output"),
            ("up", "intermediate"),
            ("down", "output"),
        ):
            weights[f"{layer}.{ours}"] = get(f"{block}.{theirs}.dense.weight").T
            weights[f"{layer}.{ours}_bias"] = get(f"{block}.{theirs}.dense.bias")
            if ours != "up":
                weights[f"{layer}.{ours}_norm_scale"] = get(f"{block}.{theirs}.LayerNorm.weight")
                weights[f"{layer}.{ours}_norm_shift"] = get(f"{block}.{theirs}.LayerNorm.bias")
    return {name: np.ascontiguousarray(array) for name, array in weights.items()}


def _shift_positions(
    config: Mapping[str, Any], architecture: Architecture, weights: Weights
) -> tuple[Architecture, Weights]:
    """Let positions start at 0: RoBERTa's first is the one after that of the padding token."""
    if config["model_type"] == "bert":
        return architecture, weights
    first = int(config.get("pad_token_id", 1)) + 1
    sizes = {field: getattr(architecture, field) for field in architecture.__dataclass_fields__}
    moved = Architecture(**sizes | {"n_positions": architecture.n_positions - first})
    return moved, weights | {"positions": np.ascontiguousarray(weights["positions"][first:])}


def _read_tokenizer(root: Path, config: Mapping[str, Any]) -> bytes:
    path = root / "tokenizer.json"
    if path.is_file():
        if path.stat().st_size > MOST_JSON_MB << 20:
            raise ValueError(f"tokenizer.json is larger than {MOST_JSON_MB} MB")
        return path.read_bytes()
    vocabulary = root / "vocab.txt"
    if config["model_type"] != "bert" or not vocabulary.is_file():
        raise ValueError("tokenizer.json is missing, and so is a vocab.txt of BERT's word pieces")
    told = root / "tokenizer_config.json"
    lowercase = bool(_read_json(told).get("do_lower_case", True)) if told.is_file() else True
    return define_by_vocabulary(vocabulary.read_text(encoding="utf-8").splitlines(), lowercase=lowercase)


def _read_max_tokens(root: Path, architecture: Architecture) -> int:
    """Return the longest text the transformer takes, or was made for where the folder says so."""
    told = root / "sentence_bert_config.json"
    most = _read_json(told).get("max_seq_length") if told.is_file() else None
    return (
        min(most, architecture.n_positions)
        if isinstance(most, int) and most > 0
        else architecture.n_positions
    )
