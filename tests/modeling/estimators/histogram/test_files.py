import io
import json
import sys
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from modeling.estimators.histogram import files
from modeling.estimators.histogram.files import load_forest, pack_forest, save_forest, unpack_forest
from modeling.estimators.histogram.forest import HistogramForest

NAN = np.nan
LAST, ROOT = -1, 0
NAMES = ("care", "duty", "mean answer", "Größe")


def fit(**settings):
    rng = np.random.default_rng(6)
    features = rng.integers(0, 7, (120, 4)).astype(float)
    features[:, 2] /= 8
    features[::9, 1] = NAN
    return HistogramForest(**{"n_trees": 6, "seed": 2} | settings).fit(
        features, rng.integers(0, 7, 120)
    ), features


def packed(**changes):
    return pack_forest(fit()[0], NAMES) | changes


def content_of(arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_a_forest_comes_back_to_the_bit(tmp_path):
    forest, features = fit(n_threads=2)
    first, second = np.flatnonzero(forest.trees_.split_features < 0)[:2]
    forest.trees_.means[first], forest.trees_.means[second] = 0.0, -0.0  # one number, two patterns of bits
    save_forest(tmp_path / "forest.npz", forest, NAMES)
    saved = load_forest(tmp_path / "forest.npz")
    assert_array_equal(
        saved.forest.predict(features).view(np.uint32), forest.predict(features).view(np.uint32)
    )
    for part in ("starts", "split_features", "cuts", "lefts", "means"):
        ours, theirs = getattr(saved.forest.trees_, part), getattr(forest.trees_, part)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    assert_array_equal(saved.forest.importances(), forest.importances())
    assert saved.feature_names == NAMES
    assert saved.versions["numpy"] == np.__version__
    assert (saved.forest.seed, saved.forest.min_rows_in_leaf, saved.forest.n_threads) == (2, 5, 1)


@pytest.mark.parametrize("target", [[3, 3, 3], [0.5, -0.0, 2.25]], ids=["leaves only", "decimals"])
def test_small_forests_come_back_too(target):
    forest = HistogramForest(n_trees=2, min_rows_in_leaf=1, max_features=1).fit([[NAN], [1.0], [7.0]], target)
    back = unpack_forest(pack_forest(forest, ["only"])).forest
    assert_array_equal(back.predict([[NAN], [1], [7], [4]]), forest.predict([[NAN], [1], [7], [4]]))


def test_a_forest_of_many_features_comes_back():
    rng = np.random.default_rng(0)
    features = rng.integers(0, 2, (40, 200)).astype(float)
    forest = HistogramForest(n_trees=4).fit(features, rng.integers(0, 7, 40))
    back = unpack_forest(pack_forest(forest, [str(k) for k in range(200)])).forest
    assert forest.trees_.split_features.max() > 127
    assert_array_equal(back.predict(features), forest.predict(features))


def test_the_same_forest_gives_the_same_bytes():
    one, other = io.BytesIO(), io.BytesIO()
    save_forest(one, fit()[0], NAMES)
    save_forest(other, fit()[0], NAMES)
    assert one.getvalue() == other.getvalue()


@pytest.mark.parametrize("names", [NAMES[:3], ("care",) * 4])
def test_every_feature_needs_a_name_of_its_own(names):
    with pytest.raises(ValueError, match="a name of its own"):
        pack_forest(fit()[0], names)


class Canary:
    def __reduce__(self):
        return exec, ("import sys; sys.canary_sang = True",)


@pytest.mark.parametrize("name", ["levels", "about"])
def test_a_pickle_inside_is_refused_and_never_run(name, monkeypatch):
    monkeypatch.setattr(sys, "canary_sang", False, raising=False)
    crafted = content_of(packed(**{name: np.array([Canary()], dtype=object)}))
    with np.load(io.BytesIO(crafted), allow_pickle=True) as loaded:
        _ = loaded[name]
    assert sys.canary_sang  # the canary can sing
    sys.canary_sang = False
    with pytest.raises(ValueError, match="holds Python objects"):
        load_forest(io.BytesIO(crafted))
    assert not sys.canary_sang


def test_no_changed_byte_gives_another_forest_or_another_error():
    forest, features = fit()
    buffer = io.BytesIO()
    save_forest(buffer, forest, NAMES)
    whole = buffer.getvalue()
    expected = forest.predict(features[:20])
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in rng.choice(len(whole), 400, replace=False):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        try:
            back = load_forest(io.BytesIO(bytes(changed))).forest
        except ValueError:
            n_refused += 1
        else:  # a date or another byte that no reader looks at
            assert_array_equal(back.predict(features[:20]), expected)
    assert n_refused > 200


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_refused(share):
    whole = content_of(packed())
    with pytest.raises(ValueError, match="not a whole forest file"):
        load_forest(io.BytesIO(whole[: int(len(whole) * share)]))


def test_other_files_are_refused_and_missing_ones_are_not_called_damaged(tmp_path):
    with pytest.raises(ValueError, match="not a whole forest file"):
        load_forest(io.BytesIO(b"\x80\x05not a zip"))
    with pytest.raises(ValueError, match="a forest file holds"):
        load_forest(io.BytesIO(content_of({"weights": np.ones(3)})))
    with pytest.raises(FileNotFoundError):
        load_forest(tmp_path / "nowhere.npz")


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="unpacks to more"):
        load_forest(io.BytesIO(content_of(packed())))


def test_an_array_shorter_than_it_claims_is_refused():
    arrays, buffer = packed(), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array)
            content = one.getvalue()
            if name == "cuts":  # claim a million times as many, in a header of the same length
                claim = f"({len(array)},), }}".encode()
                content = content.replace(claim + b" " * 6, claim[:-5] + b"000000,), }", 1)
                assert content != one.getvalue()
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(ValueError, match="not as long as its shape"):
        load_forest(io.BytesIO(buffer.getvalue()))


def changed(name, place, value):
    array = packed()[name].copy()
    array[place] = value
    return {name: array}


def leaf_before_its_split():
    array = packed()["split_features"].copy()
    leaf = int(np.flatnonzero(array < 0)[0])
    array[ROOT], array[leaf] = -1, 0
    return {"split_features": array}


def about(**changes):
    known = json.loads(str(packed()["about"]))
    return {"about": np.array(json.dumps(known | changes))}


CRAFTED = {
    "feature beyond the last": (changed("split_features", ROOT, 4), "split_features must be"),
    "feature below a leaf's": (changed("split_features", ROOT, -2), "split_features must be"),
    "a split as last node": (changed("split_features", LAST, 0), "do not make trees"),
    "a leaf as root": (changed("split_features", ROOT, -1), "do not make trees"),
    "as many splits, elsewhere": (leaf_before_its_split(), "do not make trees"),
    "a tree without nodes": (changed("n_nodes", 0, 0), "n_nodes must be"),
    "a tree of negative size": (changed("n_nodes", 0, -3), "n_nodes must be"),
    "one node too many": (changed("n_nodes", 0, packed()["n_nodes"][0] + 1), "n_nodes add up"),
    "trees of other sizes": ({"n_nodes": packed()["n_nodes"] + [2, -2, 0, 0, 0, 0]}, "do not make trees"),
    "other number of trees": ({"n_nodes": packed()["n_nodes"][1:]}, "n_nodes must be 6"),
    "cut at the last level": (changed("cuts", 0, 255), "cuts must be"),
    "too few cuts": ({"cuts": packed()["cuts"][1:]}, "cuts must be"),
    "mean beyond the last": (changed("mean_codes", 0, 255), "mean_codes must be"),
    "too few means": ({"mean_codes": packed()["mean_codes"][1:]}, "mean_codes must be"),
    "infinite mean": (changed("distinct_means", 0, np.inf), "distinct_means must be"),
    "mean that is none": (changed("distinct_means", 0, NAN), "distinct_means must be"),
    "means of another size": (
        {"distinct_means": packed()["distinct_means"] * 1.0e0 + np.zeros(1)},
        "float32",
    ),
    "levels that fall": (changed("levels", 1, 90.0), "levels of feature 0"),
    "infinite level": (changed("levels", LAST, np.inf), "levels of feature 3"),
    "missing among levels": (changed("levels", 3, NAN), "levels of feature 0"),
    "too few levels": ({"levels": packed()["levels"][1:]}, "n_levels add up"),
    "a feature without level": (changed("n_levels", 0, 0), "n_levels must be"),
    "levels of fewer features": ({"n_levels": packed()["n_levels"][1:]}, "n_levels must be"),
    "decrease below zero": (changed("decreases", 0, -1.0), "decreases must be"),
    "decreases of fewer features": ({"decreases": packed()["decreases"][1:]}, "decreases must be"),
    "another kind of number": ({"cuts": packed()["cuts"].astype(float)}, "cuts is float64"),
    "another shape": ({"levels": packed()["levels"][None]}, "levels is float64 of shape"),
    "about nothing": ({"about": np.array("[]")}, "not readable"),
    "about in no JSON": ({"about": np.array("{")}, "Expecting"),
    "a later format": (about(format=2), "of format 2"),
    "no setting": (about(settings={}), "not readable"),
    "settings of other types": (
        about(settings=dict.fromkeys(files.SETTINGS, "6")),
        "settings in the file",
    ),
    "names that are numbers": (about(feature_names=[1, 2, 3, 4]), "must be text"),
    "names alike": (about(feature_names=["a", "a", "b", "c"]), "no two names alike"),
    "no name": (about(feature_names=[]), "names 0 features"),
    "versions that are none": (about(versions=None), "not readable"),
}


@pytest.mark.parametrize(("changes", "message"), CRAFTED.values(), ids=CRAFTED)
def test_what_is_no_forest_is_refused_by_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        load_forest(io.BytesIO(content_of(packed(**changes))))


def test_a_forest_without_one_of_its_arrays_is_refused():
    arrays = packed()
    del arrays["cuts"]
    with pytest.raises(ValueError, match="no cuts"):
        unpack_forest(arrays)
