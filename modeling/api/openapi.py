"""The OpenAPI document, made of the addresses and of the classes of what is sent and told."""

from functools import cache
from typing import Any

from django.urls import reverse
from pydantic.json_schema import models_json_schema

from . import examples
from .endpoint import Endpoint
from .endpoints import ENDPOINTS
from .problems import KINDS, MEDIA_TYPE
from .schemas import LONGEST_TEXT, MAX_BATCH, MAX_BODY_BYTES, MAX_POSTS, ProblemOut

VERSION = "1.0.0"
SCHEMA_PLACE = "#/components/schemas/"
ABOUT = (
    "What this person would see in this post: a study's personalized values, with an uncertainty. A token opens one "
    "study. Ratings are on the study's scale and in the order of its values. Predictions are guesses about people: "
    "use them only for what the study's participants consented to."
)
LIMITS = (
    f"A body has at most {MAX_BODY_BYTES:,} bytes, a text at most {LONGEST_TEXT:,} characters. "
    f"predict and rerank take at most {MAX_POSTS:,} posts for one person; batch takes at most {MAX_BATCH} persons by "
    f"{MAX_BATCH} posts. Each token has a number of requests for each minute of the clock (600 unless its maker chose "
    "another); refused requests beyond it do not count, all others do, whatever their size."
)
PRIVACY = (
    "Persons stand in bodies, never in addresses, and by pseudonyms of the study, never by ids of another platform. "
    "What is sent is neither stored nor logged."
)


@cache
def build_document() -> dict[str, Any]:
    """Return the document, as OpenAPI 3.1 wants it."""
    classes = [(each.sends, "validation") for each in ENDPOINTS if each.sends]
    classes += [(each.tells, "serialization") for each in ENDPOINTS]
    _, definitions = models_json_schema(
        [*classes, (ProblemOut, "serialization")], ref_template=SCHEMA_PLACE + "{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parallax scoring API",
            "version": VERSION,
            "description": "\n\n".join((ABOUT, LIMITS, PRIVACY)),
            "license": {"name": "BSD 3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": reverse("api:root").rstrip("/")}],
        "security": [{"token": []}],
        "paths": {f"/{each.name}": {each.method.lower(): _describe(each)} for each in ENDPOINTS},
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the study, which its owners make on the study's page API.",
                }
            },
        },
    }


def _describe(endpoint: Endpoint) -> dict[str, Any]:
    described = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {
                    "application/json": {
                        "schema": _refer(endpoint.tells),
                        "example": examples.TOLD[endpoint.name],
                    }
                },
            }
        }
        | {str(KINDS[slug].status.value): _describe_problem(slug) for slug in endpoint.problems},
    }
    if endpoint.sends is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _refer(endpoint.sends),
                    "example": examples.SENT[endpoint.name],
                }
            },
        }
    return described


def _describe_problem(slug: str) -> dict[str, Any]:
    kind = KINDS[slug]
    described: dict[str, Any] = {
        "description": f"{kind.title}. {kind.meaning}",
        "content": {MEDIA_TYPE: {"schema": _refer(ProblemOut)}},
    }
    if slug == "too-many-requests":
        described["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return described


def _refer(schema: type) -> dict[str, str]:
    return {"$ref": SCHEMA_PLACE + schema.__name__}
