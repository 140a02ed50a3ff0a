import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from modeling.encoders.transformer.folders import find_folder, read_checkpoint
from modeling.encoders.transformer.forward import Transformer
from modeling.encoders.transformer.tokens import Tokenizer

from .tiny import make_config, make_tensors


def embed(checkpoint, texts=("baba bade", "fi fifi gogo")):
    ids, _ = Tokenizer(checkpoint.tokenizer, 20).encode(texts)
    return Transformer(checkpoint.architecture, checkpoint.weights).embed(ids)


def test_a_folder_is_read_with_its_sizes_and_its_tokenizer(write_folder):
    checkpoint = read_checkpoint("tiny", write_folder())
    assert (checkpoint.architecture.n_layers, checkpoint.architecture.width, checkpoint.max_tokens) == (
        2,
        32,
        40,
    )
    assert np.isfinite(embed(checkpoint)).all()


def test_queries_keys_and_values_stand_side_by_side_as_factors_from_the_right(write_folder):
    tensors = make_tensors(make_config())
    weights = read_checkpoint("tiny", write_folder(tensors=tensors)).weights
    key = tensors["encoder.layer.1.attention.self.key.weight"]
    assert weights["1.attend"][:, 32:64] == pytest.approx(key.T)
    assert weights["1.up"] == pytest.approx(tensors["encoder.layer.1.intermediate.dense.weight"].T)
    kind = tensors["embeddings.token_type_embeddings.weight"][0]
    assert weights["positions"] == pytest.approx(tensors["embeddings.position_embeddings.weight"] + kind)


def test_older_names_and_a_model_in_front_of_them_are_understood(write_folder):
    older = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): (
            array
        )
        for name, array in make_tensors(make_config()).items()
    }
    plain, prefixed = write_folder("plain"), write_folder("prefixed", tensors=older)
    assert embed(read_checkpoint("a", plain)).tolist() == embed(read_checkpoint("b", prefixed)).tolist()


def test_a_sentence_transformers_folder_names_the_part_and_its_longest_text(write_folder, tmp_path):
    part = write_folder("whole/0_Transformer")
    (part / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24}))
    modules = [{"type": "sentence_transformers.models.Transformer", "path": "0_Transformer"}]
    (tmp_path / "whole/modules.json").write_text(json.dumps(modules))
    assert read_checkpoint("whole", tmp_path / "whole").max_tokens == 24


def test_roberta_counts_positions_from_after_its_padding(write_folder):
    config = make_config(model_type="roberta", pad_token_id=1)
    tensors = make_tensors(config)
    folder = write_folder(config=config, tensors=tensors)
    definition = read_checkpoint("bert", write_folder("bert")).tokenizer
    (folder / "tokenizer.json").write_bytes(definition)
    checkpoint = read_checkpoint("roberta", folder)
    kind = tensors["embeddings.token_type_embeddings.weight"][0]
    assert checkpoint.architecture.n_positions == checkpoint.max_tokens == 38
    assert checkpoint.weights["positions"][0] == pytest.approx(
        tensors["embeddings.position_embeddings.weight"][2] + kind
    )


def test_half_precision_weights_are_read_as_single(write_folder):
    halves = {name: array.astype(np.float16) for name, array in make_tensors(make_config()).items()}
    weights = read_checkpoint("tiny", write_folder(tensors=halves)).weights
    assert {array.dtype.name for array in weights.values()} == {"float32"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model_type": "deberta-v2"}, "supported are bert, roberta, xlm-roberta"),
        ({"hidden_act": "gelu_new"}, "supported is 'gelu'"),
        ({"position_embedding_type": "relative_key"}, "supported is 'absolute'"),
        ({"num_attention_heads": 5}, "cannot be shared by 5 heads"),
        ({"hidden_size": "32"}, "whole numbers"),
        ({"vocab_size": 9}, "'tokens' are of shape"),
    ],
    ids=["kind", "activation", "positions", "heads", "no_number", "size"],
)
def test_what_is_not_supported_is_named(write_folder, changes, complaint):
    folder = write_folder()
    (folder / "config.json").write_text(json.dumps(make_config(**changes)))
    with pytest.raises(ValueError, match=complaint):
        read_checkpoint("tiny", folder)


def test_a_pickle_of_weights_is_not_opened(write_folder):
    folder = write_folder()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is there; .* from no pickle"):
        read_checkpoint("tiny", folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_missing_file_is_named(write_folder, name):
    folder = write_folder()
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name}.*"):
        read_checkpoint("tiny", folder)


def test_weights_that_are_cut_short_missing_or_no_numbers_are_refused(write_folder):
    folder = write_folder()
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        read_checkpoint("tiny", folder)
    tensors = make_tensors(make_config())
    tensors["encoder.layer.0.output.dense.bias"][3] = np.nan
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"'0\.down_bias' hold what is not a number"):
        read_checkpoint("tiny", folder)
    del tensors["encoder.layer.0.output.dense.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lacks 'encoder\.layer\.0\.output\.dense\.bias'"):
        read_checkpoint("tiny", folder)


def test_modules_cannot_lead_out_of_the_folder(write_folder, tmp_path):
    write_folder("elsewhere")
    folder = write_folder("inside")
    modules = [{"type": "sentence_transformers.models.Transformer", "path": "../elsewhere"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="outside"):
        read_checkpoint("inside", folder)


def test_a_folder_that_is_gone_is_said_to_be(write_folder):
    folder = write_folder()
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="does not exist"):
        read_checkpoint("tiny", folder)


def test_encoders_are_found_by_name_and_the_installations_own_is_usual(tmp_path):
    environment = {"ENCODERS": f"zeta={tmp_path}/z,minilm={tmp_path}/m", "ENCODER_FOLDER": f"{tmp_path}/own"}
    assert find_folder("", environment) == ("local", tmp_path / "own")
    assert find_folder("zeta", environment) == ("zeta", tmp_path / "z")
    with pytest.raises(ValueError, match="no encoder named '/etc'; there are: local, minilm, zeta"):
        find_folder("/etc", environment)
