"""What a verification's rules came to, computed from the queue, the decisions and the reference. For workers."""

import hashlib
import json
from typing import Any

import numpy as np

from annotation.selectors import get_tree
from modeling.experts.loading import load_reference
from modeling.models import Verification
from modeling.refining.runs import find_taught
from modeling.reports.verification import OnProgress, RuleFacts, VerificationData, describe_verification
from modeling.rules.language import say_condition

from .loading import get_corpus, list_post_ids, load_decisions, load_means
from .services import find_twin, get_rules


def compute_verification(verification: Verification, report: OnProgress) -> dict[str, Any]:
    """Return the measures of a verification whose queue is made; no row is touched."""
    report(0, 1, "reading decisions")
    data = build_data(verification)
    measures = describe_verification(data, seed=verification.study.seed, report=report)
    twin = find_twin(verification)
    return measures | {
        "verification": verification.pk,
        "rule_set": str(verification.rule_set),
        "rules_sha256": verification.rule_set.digest,
        "corpus_sha256": verification.corpus_sha256,
        "run": verification.run_id,
        "annotator": str(verification.run.annotator),
        "expert_set": verification.expert_set.name if verification.expert_set else None,
        "is_standin": verification.is_standin,
        "n_standin": int(verification.is_standin),
        "models": [str(verification.run.annotator)],
        "twin": twin.pk if twin else None,
        "data_hash": _hash(verification, data),
    }


def build_data(verification: Verification) -> VerificationData:
    """Return everything that the report sees."""
    study, counts = verification.study, verification.counts
    keys = study.value_keys
    place_of = {key: place for place, key in enumerate(keys)}
    names = {leaf.key: leaf.label for leaf in get_tree(study.value_system).leaves}
    rules = get_rules(verification.rule_set)
    rows = load_decisions(verification)
    shape = (len(rows), len(keys))
    concerned = np.zeros((len(rules), *shape), dtype=bool)
    model, verified = np.full(shape, np.nan), np.full(shape, np.nan)
    row_of_rule = {rule.key: place for place, rule in enumerate(rules)}
    for row, (_, decided, ratings, reasons) in enumerate(rows):
        model[row] = ratings
        if decided.ratings is not None:
            verified[row] = decided.ratings
        for reason in reasons:
            concerned[row_of_rule[reason["rule"]], row, [place_of[key] for key in reason["values"]]] = True
    reference = _load_reference(verification)
    return VerificationData(
        values=tuple((key, names.get(key, key)) for key in keys),
        rules=tuple(_describe_rule(rule, counts["rules"].get(rule.key, {}), names) for rule in rules),
        n_posts=verification.n_posts,
        n_unread=counts["n_unread"],
        n_test=counts["n_test"],
        threshold=verification.threshold,
        flagged_ids=np.array([post for post, *_ in rows], dtype=np.int64),
        concerned=concerned,
        model=model,
        verified=verified,
        n_experts=np.array([decided.n_experts for _, decided, *_ in rows], dtype=np.int64),
        n_unsure=np.array([decided.n_unsure for _, decided, *_ in rows], dtype=np.int64),
        n_disputed=np.array([len(decided.disputed) for _, decided, *_ in rows], dtype=np.int64),
        has_reference=verification.expert_set is not None,
        **reference,
    )


def _load_reference(verification: Verification) -> dict[str, Any]:
    """Return the development posts that the run has looked at, with the reference and what the model says."""
    n_values = len(verification.study.value_keys)
    if verification.expert_set is None:
        nothing = np.empty((0, n_values))
        return {"reference_ids": np.empty(0, dtype=np.int64), "truth": nothing, "said": nothing}
    reference = load_reference(verification.expert_set)
    held = set(list_post_ids(get_corpus(verification))[0])
    taught = find_taught(verification.run, (int(pk) for pk in reference.post_ids))
    here = np.array([int(pk) in held for pk in reference.post_ids], dtype=bool)
    own = np.array([int(pk) in taught for pk in reference.post_ids], dtype=bool)
    kept = here & ~own
    ids = reference.post_ids[kept]
    return {
        "reference_ids": ids,
        "truth": reference.ratings[kept],
        "said": load_means(verification.run, [int(pk) for pk in ids]),
        "n_taught": int((here & own).sum()),
        "notes": reference.notes,
    }


def _describe_rule(rule: Any, counted: dict[str, Any], names: dict[str, str]) -> RuleFacts:
    unknown = counted.get("unknown", {})
    return RuleFacts(
        key=rule.key,
        title=rule.title,
        why=rule.why,
        n_flagged=counted.get("n_flagged", 0),
        n_undecided=counted.get("n_undecided", 0),
        unknown=tuple(
            (leaf.place, say_condition(leaf, names), unknown[leaf.place])
            for leaf in rule.when.list_leaves()
            if unknown.get(leaf.place)
        ),
    )


def _hash(verification: Verification, data: VerificationData) -> str:
    digest = hashlib.sha256(json.dumps([verification.corpus_sha256, verification.rule_set.digest]).encode())
    for array in (data.flagged_ids, data.verified, data.n_unsure, data.reference_ids, data.truth, data.said):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
