"""The last good fit of a study, ready to predict; its files are read once in a process and checked when they are."""

import functools
import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Study

from .artefacts import load_arrays
from .errors import ArtefactDamaged, NothingServes
from .estimators import reader
from .estimators.personalizer import Personalizer, Predicted, RaterVectors
from .fits import list_versions
from .in_use import READS, SERVES, find_fit_in_use
from .models import FitRun

Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

MOST_IN_MEMORY = 4
REMEDY = "fit the study again"
_lock = threading.Lock()
_open: dict[tuple[int, datetime], "Serving"] = {}  # a restored database may give a number out anew


def find_serving_fit(study: Study) -> FitRun:
    """Return the newest fit by the default rule that has its files. Raises NothingServes.

    A fit that failed left none, so the one before goes on serving; a fit that saw answers which were erased has none
    any more.
    """
    if fit_run := find_fit_in_use(study):
        return fit_run
    raise NothingServes(f"Study '{study.slug}' has no fit that could predict anything; {REMEDY}.")


def load_serving(study: Study) -> "Serving":
    """Return what serves a study now. Raises NothingServes."""
    return open_serving(find_serving_fit(study))


def open_serving(fit_run: FitRun) -> "Serving":
    """Return a fit ready to predict; the last few stay in memory.

    Raises NothingServes when it has no files, and ArtefactDamaged when they are not those it wrote.
    """
    which = fit_run.pk, fit_run.created_at
    with _lock:
        serving = _open.pop(which, None) or Serving(fit_run)
        _open[which] = serving
        while len(_open) > MOST_IN_MEMORY:
            del _open[next(iter(_open))]
        return serving


class Serving:
    """A fit with its files.

    Attributes
    ----------
    value_keys, scale : of what is predicted, in order
    question_names : of the calibration questions, in the order in which answers are given
    enrollment_ids : the raters whose history it knows
    """

    def __init__(self, fit_run: FitRun) -> None:
        self.fit_run = fit_run
        self._files = {file.role: file for file in fit_run.files.all()}
        if SERVES not in self._files:
            raise NothingServes(f"{fit_run} has no files to predict with; {REMEDY}.")
        blends = self._load(SERVES)
        if str(blends.get("data_hash")) != fit_run.data_hash:
            raise ArtefactDamaged(f"The files of {fit_run} are of other data than its row says; {REMEDY}.")
        try:
            self._personalizer = Personalizer(self._load, blends)
        except ValueError as error:
            raise ArtefactDamaged(f"{fit_run}: {error}.") from error
        self.value_keys = self._personalizer.value_keys
        self.scale = self._personalizer.scale
        self.method: str = fit_run.method
        self.question_names: tuple[str, ...] = tuple(self._files[SERVES].feature_names)
        self.enrollment_ids: NDArray[np.int64] = blends["enrollment_ids"]
        self._rater_of = {int(pk): code for code, pk in enumerate(self.enrollment_ids)}
        self._note_other_versions()

    @property
    def n_raters(self) -> int:
        return len(self.enrollment_ids)

    @property
    def weights(self) -> dict[str, dict[str, float]]:
        """For known and new raters the weight of each member that has one."""
        return self._personalizer.weights

    @property
    def reads_text(self) -> bool:
        return READS in self._files

    def read_texts(self, texts: Sequence[str]) -> Floats:
        """Return the consensus of texts, shape (n, n_values). Raises ValueError when this fit cannot read."""
        if not self.reads_text:
            raise ValueError(
                f"the consensus of this fit is '{self.fit_run.consensus_name}', which cannot read texts; give a "
                "consensus vector, or a post of the study"
            )
        return self._reader.read(texts)

    def post_scores(self) -> dict[int, tuple[float, ...]]:
        """Return the consensus of each post that the fit saw, by id."""
        return dict(self.fit_run.post_scores.values_list("post_id", "scores"))

    def known_rater(self, enrollment_id: int) -> RaterVectors | None:
        """Return what the fit knows of a rater; None for one whose ratings it did not see."""
        code = self._rater_of.get(enrollment_id)
        return None if code is None else self._personalizer.describe_known(code)

    def new_rater(self, answers: Floats) -> RaterVectors:
        """Return what answers tell of anyone, shape (n_questions,), NaN where unanswered.

        Raises ValueError when there are not as many as questions.
        """
        if np.shape(answers) != (len(self.question_names),):
            raise ValueError(
                f"{np.size(answers)} answers were given for {len(self.question_names)} calibration questions; give one "
                "each, or say that it is missing"
            )
        return self._personalizer.describe_new(answers)

    def predict(self, consensus: Floats, rater: RaterVectors) -> Predicted:
        """Predict posts of this consensus, shape (n_posts, n_values), for one rater."""
        return self._personalizer.predict(consensus, rater)

    def score_all(self, value: int, consensus: Floats, *, n_threads: int = 1) -> NDArray[np.float32]:
        """Predict one value, by its place, for all raters the fit knows, shape (n_raters, n_posts)."""
        return self._personalizer.score_all(value, consensus, n_threads=n_threads)

    @functools.cached_property
    def _reader(self) -> reader.TextReader:
        try:
            return reader.unpack(self._load(READS))
        except ValueError as error:
            raise ArtefactDamaged(f"{self.fit_run}: {error}.") from error

    def _load(self, role: str) -> Mapping[str, NDArray[Any]]:
        if role not in self._files:
            raise ArtefactDamaged(f"{self.fit_run} has no file of {role}; {REMEDY}.")
        file = self._files[role]
        return load_arrays(file.name, file.sha256)

    def _note_other_versions(self) -> None:
        now = list_versions()
        then = self._files[SERVES].versions
        changed = {
            name: (then.get(name), version) for name, version in now.items() if then.get(name) != version
        }
        if changed:
            logger.info("%s was computed with other versions than run now: %s", self.fit_run, changed)
