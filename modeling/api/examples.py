"""The reference's examples, of a study with three values and two calibration questions."""

from typing import Any

PSEUDONYM = "6f1c1d0e-6a53-4d0f-9a0e-3f0f7c9f2b11"
MODEL = {
    "fit": 12,
    "fitted_at": "2026-05-04T09:30:00+00:00",
    "method": "blend",
    "consensus": "text",
    "data_hash": "5b0c7a2e91d4",
    "version": "0.1.0",
    "outdated": False,
}
KNOWN = {
    "pseudonym": PSEUDONYM,
    "view": "known",
    "n_questions": 2,
    "n_answered": None,
    "n_missing": None,
    "fallback": None,
    "notes": [],
}
NEW = KNOWN | {
    "pseudonym": None,
    "view": "new",
    "n_answered": 1,
    "n_missing": 1,
    "notes": [
        "1 of 2 answers are missing. They were left open, as the fit's methods do for raters who skipped a question; "
        "the fewer answers, the less personal the predictions."
    ],
}
VALUES = ["achievement", "caring", "tradition"]
FEED_POST = {"id": "feed-81", "text": "Our neighbours cooked for the whole street tonight."}
STUDY_POST = {"key": "p17"}
RATINGS = {
    "ratings": [1.2043, 5.1187, 2.9902],
    "low": [0.1, 3.9121, 1.3302],
    "high": [2.8711, 5.9344, 4.4127],
    "consensus": [1.5102, 4.3021, 2.2044],
}
OTHER_RATINGS = {
    "ratings": [3.5521, 0.9014, 1.4475],
    "low": [2.1022, 0.0, 0.2104],
    "high": [4.8317, 2.2046, 3.0025],
    "consensus": [3.2011, 1.4021, 1.3308],
}
PROBLEM = {
    "type": "/api/#not-valid",
    "title": "The request cannot be answered as it is",
    "status": 422,
    "detail": "1 thing is wrong.",
    "errors": [
        {
            "where": "/posts/0/consensus/2",
            "what": "it lies outside the study's scale",
            "mend": "give a number from 0 to 6",
        }
    ],
}


def _drop(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: part for name, part in content.items() if name not in names}


SENT = {
    "predict": {"rater": {"pseudonym": PSEUDONYM}, "posts": [FEED_POST, STUDY_POST]},
    "rerank": {
        "rater": {"answers": [5, None]},
        "value": "caring",
        "posts": [{"id": "a", "consensus": [3.2, 1.4, 1.3]}, {"id": "b", "consensus": [1.5, 4.3, 2.2]}],
    },
    "batch": {
        "raters": [{"pseudonym": PSEUDONYM}, {"answers": {"c1 / caring": 5}}],
        "posts": [STUDY_POST],
    },
}
TOLD = {
    "values": {
        "study": "Values in posts, spring",
        "values": [
            {
                "key": key,
                "name": key.title(),
                "label": key.title(),
                "definition": definition,
            }
            for key, definition in zip(
                VALUES,
                ("Success by merit.", "Devotion to those near.", "Keeping customs."),
                strict=True,
            )
        ],
        "scale": {"lowest": 0, "highest": 6, "low_label": "Not at all", "high_label": "Very strongly"},
        "questions": [
            {
                "name": f"{post} / {value}",
                "value": value,
                "post": post,
                "context": "",
                "text": text,
            }
            for post, value, text in (
                ("c1", "caring", "I sat with her all night."),
                ("c2", "tradition", "We still bake it as grandmother did."),
            )
        ],
        "reads_text": True,
        "model": MODEL,
    },
    "predict": {
        "values": VALUES,
        "rater": KNOWN,
        "posts": [{"id": "feed-81", "key": None} | RATINGS, {"id": None, "key": "p17"} | OTHER_RATINGS],
        "model": MODEL,
    },
    "rerank": {
        "rater": NEW,
        "posts": [
            {
                "rank": 1,
                "index": 1,
                "id": "b",
                "key": None,
                "score": 4.6207,
                "low": 3.0519,
                "high": 5.8804,
                "consensus": 4.3,
            },
            {
                "rank": 2,
                "index": 0,
                "id": "a",
                "key": None,
                "score": 1.5011,
                "low": 0.1202,
                "high": 3.1127,
                "consensus": 1.4,
            },
        ],
        "model": MODEL,
    },
    "batch": {
        "values": VALUES,
        "posts": [{"id": None, "key": "p17", "consensus": OTHER_RATINGS["consensus"]}],
        "raters": [
            {"rater": KNOWN} | {name: [row] for name, row in _drop(OTHER_RATINGS, "consensus").items()},
            {
                "rater": NEW,
                "ratings": [[3.3022, 1.2004, 1.3871]],
                "low": [[1.7041, 0.0, 0.1038]],
                "high": [[4.9317, 2.7146, 3.1225]],
            },
        ],
        "model": MODEL,
    },
}
