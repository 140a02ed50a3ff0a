import sys

import numpy as np
import pytest
import torch

from modeling.encoders.files import fit_encoder
from modeling.encoders.settings import EncoderSettings
from modeling.encoders.transformer import training
from modeling.encoders.transformer.folders import read_checkpoint
from modeling.encoders.transformer.forward import Transformer
from modeling.encoders.transformer.model import TorchModel
from modeling.encoders.transformer.packages import TorchMissing

from .tiny import WORDS

POINTS = np.arange(4.0)
LOW, HIGH, SPLIT = [0.9, 0.1, 0.0, 0.0], [0.0, 0.0, 0.2, 0.8], [0.55, 0.0, 0.0, 0.45]


@pytest.fixture(autouse=True)
def folder(write_folder, monkeypatch):
    monkeypatch.setenv("ENCODER_FOLDER", str(write_folder()))
    monkeypatch.delenv("ENCODERS", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tests run beside one another
    yield
    torch.set_num_threads(threads)


def make_settings(**changes) -> EncoderSettings:
    quick = {"epochs": 12, "batch_size": 8, "learning_rate": 3e-3, "head_learning_rate": 3e-2, "patience": 12}
    transformer = quick | changes.pop("transformer", {})
    return EncoderSettings(kind="transformer", transformer=transformer, **changes)


def make_lessons(n: int, seed: int = 1, marked=HIGH, unmarked=LOW):
    """Texts of which every other one says the word 'baba'; the first value hears it, the second is always split."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.empty((n, 2, 4), dtype=np.float32)
    for place in range(n):
        words = list(rng.choice(WORDS[1:], size=rng.integers(3, 9)))
        if place % 2:
            words.insert(rng.integers(len(words)), "baba")
        texts.append(" ".join(words))
        targets[place] = [marked if place % 2 else unmarked, SPLIT]
    return texts, targets


def fit(lessons, settings=None, dev=None, report=None):
    return fit_encoder(*lessons, POINTS, settings or make_settings(), dev, report)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """What several tests look at: an encoder taught the rule."""
    from modeling.encoders.transformer import folders

    from .conftest import write_tiny_folder

    folder = write_tiny_folder(tmp_path_factory.mktemp("taught") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "read_encoder_folders", lambda environment: {"tiny": folder})
        return fit(make_lessons(160), make_settings(transformer={"folder": "tiny"}), make_lessons(40, seed=2))


def test_torch_and_numpy_read_alike(write_folder):
    checkpoint = read_checkpoint("tiny", write_folder("other"))
    rng = np.random.default_rng(1)
    ids = [rng.integers(0, 148, size=length).astype(np.int32) for length in rng.integers(1, 40, size=30)]
    whole = {"head": np.eye(32, dtype=np.float32), "head_bias": np.zeros(32, dtype=np.float32)}
    model = TorchModel(
        torch, checkpoint.architecture, checkpoint.weights | whole, np.arange(148, dtype=np.int32), "cpu"
    )
    by_torch = model.read(ids, with_gradients=False).numpy()
    assert Transformer(checkpoint.architecture, checkpoint.weights).embed(ids) == pytest.approx(
        by_torch, abs=1e-5
    )


def test_it_learns_a_planted_rule_for_texts_it_was_not_taught(taught):
    texts, targets = make_lessons(60, seed=3)
    found = taught.predict(texts)
    losses = taught.facts["losses"]
    assert losses[taught.facts["best_pass"]] == min(losses) < 0.8 * losses[0]
    right = (found[:, 0] @ POINTS > 1.5) == (targets[:, 0] @ POINTS > 1.5)
    assert right.mean() > 0.9
    assert (taught.facts["n_taught"], taught.facts["n_dev"]) == (160, 40)


def test_what_it_was_taught_is_kept_as_a_distribution(taught):
    found = taught.predict(make_lessons(60, seed=3)[0])[:, 1]
    assert found.mean(axis=0) == pytest.approx(np.array(SPLIT), abs=0.05)


def test_hard_labels_lose_the_split_that_soft_ones_keep():
    lessons = make_lessons(40)
    hard = fit(lessons, make_settings(labels="hard", transformer={"epochs": 3}))
    assert hard.predict(lessons[0])[:, 1, 0].mean() > 0.8


def test_the_ordinal_loss_learns_the_rule_too():
    found = fit(make_lessons(120), make_settings(loss="ordinal"), make_lessons(30, seed=2))
    texts, targets = make_lessons(40, seed=3)
    assert ((found.predict(texts)[:, 0] @ POINTS > 1.5) == (targets[:, 0] @ POINTS > 1.5)).mean() > 0.85


@pytest.mark.parametrize("loss", ["cross_entropy", "ordinal"])
def test_the_losses_are_what_their_formulas_say(loss):
    taught, dev = make_lessons(4), make_lessons(12, seed=5)
    dev[1][0, 1] = np.nan
    found = fit(taught, make_settings(loss=loss, transformer={"epochs": 1}), dev)
    start = (taught[1].sum(axis=0) + 0.25) / 5
    lost = -(dev[1] * np.log(start)).sum(axis=2)
    if loss == "ordinal":
        lost += (np.cumsum(start - dev[1], axis=2)[:, :, :-1] ** 2).sum(axis=2)
    assert found.facts["losses"][0] == pytest.approx(np.nanmean(lost), rel=1e-5)


def test_it_stops_when_the_development_posts_are_read_no_better_and_keeps_the_best():
    texts, targets = make_lessons(24)
    dev = make_lessons(12, seed=2, marked=LOW, unmarked=HIGH)  # the rule turned round: learning can only harm
    found = fit((texts, targets), make_settings(transformer={"patience": 2, "epochs": 12}), dev)
    losses = found.facts["losses"]
    assert len(losses) - 1 == found.facts["best_pass"] + 2 < 12
    assert losses[found.facts["best_pass"]] == min(losses)


def test_rates_at_which_it_falls_apart_leave_the_untaught_start_and_say_so():
    wild = {"learning_rate": 1.0, "head_learning_rate": 1.0, "epochs": 3, "patience": 3}
    lessons = make_lessons(24)
    lessons[1][::4, 0] = LOW  # and nothing to learn
    found = fit(
        lessons, make_settings(transformer=wild), make_lessons(12, seed=2, marked=SPLIT, unmarked=SPLIT)
    )
    assert found.facts["best_pass"] == 0
    assert all(loss is None or loss > found.facts["losses"][0] for loss in found.facts["losses"][1:])
    with_word, without = found.predict(["baba", "fifi"])
    assert with_word.tolist() == without.tolist()


def test_the_same_seed_gives_the_same_encoder_and_another_another():
    lessons = make_lessons(30)
    found = []
    for seed in (1, 1, 2):
        torch.rand(3)  # what others draw does not matter
        found.append(fit(lessons, make_settings(seed=seed, transformer={"epochs": 2})).predict(lessons[0]))
    assert found[0].tolist() == found[1].tolist()
    assert np.abs(found[0] - found[2]).max() > 1e-4


def test_missing_labels_teach_nothing_and_an_untaught_value_stays_even():
    texts, targets = make_lessons(20)
    targets[:, 1] = np.nan
    targets[3] = np.nan
    found = fit((texts, targets), make_settings(transformer={"epochs": 1}))
    assert found.facts["untaught_values"] == [1]
    assert found.facts["n_taught"] + found.facts["n_dev"] == 19
    assert found.predict(texts)[:, 1] == pytest.approx(np.full((20, 4), 0.25), abs=1e-5)


def test_a_text_that_stands_twice_is_on_one_side_only(monkeypatch):
    seen = {}
    split = training._split
    monkeypatch.setattr(training, "_split", lambda *given: seen.setdefault("sides", split(*given)))
    texts, targets = make_lessons(10)
    fit((texts * 3, np.tile(targets, (3, 1, 1))), make_settings(transformer={"epochs": 1}, dev_share=0.3))
    sides = [{tuple(ids.tolist()) for ids in side.ids} for side in seen["sides"]]
    assert [len(side) for side in sides] == [7, 3]
    assert not sides[0] & sides[1]


def test_pieces_that_no_text_has_keep_their_embedding(write_folder):
    before = read_checkpoint("tiny", write_folder("other")).weights["tokens"]
    after = fit((["baba bade", "fifi bade"], make_lessons(2)[1])).pack()["weight_tokens"]
    changed = np.abs(after.astype(np.float32) - before).max(axis=1) > 1e-3
    assert set(np.flatnonzero(changed)) <= {2, 3, 4, 5, 4 + WORDS.index("fifi")}
    assert changed[4]


def test_progress_is_told_and_a_cancelled_training_leaves_torch_as_it_was():
    class Cancelled(Exception):
        pass

    told = []

    def report(done, total, note):
        told.append((done, total, note))
        if done >= 10:
            raise Cancelled

    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    with pytest.raises(Cancelled):
        fit(make_lessons(40), report=report)
    assert [done for done, _, _ in told] == [5, 10]
    assert told[0][1] == 5 * 12  # 34 posts are taught, 8 at a time
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_posts_longer_than_what_is_read_are_counted():
    texts, targets = make_lessons(12)
    texts[0] = "baba " * 50
    settings = make_settings(transformer={"epochs": 1, "max_tokens": 16})
    assert fit((texts, targets), settings).facts["n_cut"] == 1


def test_one_labeled_text_is_too_few():
    with pytest.raises(ValueError, match="at least two"):
        fit(make_lessons(1))


def test_an_unknown_encoder_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no encoder named 'other'; there are: .*local"):
        fit(make_lessons(4), make_settings(transformer={"folder": "other"}))


def test_without_torch_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(TorchMissing, match="torch, which is not installed here: run `make encoder`"):
        fit(make_lessons(4))
