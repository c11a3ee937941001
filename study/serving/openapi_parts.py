"""Bodies and answers of requests for `/openapi.json`: requests are read without pydantic, for speed."""

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_PROBABILITIES: dict[str, Any] = {"type": "object", "additionalProperties": _NUMBER}
_BOX: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "integer"},
    "description": "Of find=face: left, top, width and height in pixels; null where there is no face.",
}
_FILES: dict[str, Any] = {"type": "array", "items": {"type": "string", "format": "binary"}}
_ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}
        }
    }
}
_REFUSALS = {
    "400": "No image, or not read: the rule, and which image.",
    "401": "No token, or another one.",
    "403": "Asked by a page or a name of somebody else's.",
    "408": "The request did not arrive in time.",
    "413": "More bytes or images than one request may have.",
    "415": "A type that is not read.",
    "429": "Too many requests wait; Retry-After says for how long.",
    "503": "The server is ending, or has no memory left.",
    "504": "The answer took too long.",
}


def _extra(content: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    refusals = {code: {"description": text, **_ERROR} for code, text in _REFUSALS.items()}
    found = {"description": "Labels.", "content": {"application/json": {"schema": answer}}}
    return {"requestBody": {"required": True, "content": content}, "responses": {"200": found, **refusals}}


PREDICTION = {
    **_extra(
        {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"image": _FILES}}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {
                        "images": {"type": "array", "items": {"type": "string", "format": "byte"}}
                    },
                }
            },
        },
        {
            "type": "object",
            "required": ["model", "version", "milliseconds", "predictions"],
            "properties": {
                "model": _TEXT,
                "version": {"type": "integer"},
                "milliseconds": _NUMBER,
                "predictions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["label", "probabilities"],
                        "properties": {"label": _TEXT, "probabilities": _PROBABILITIES, "box": _BOX},
                    },
                },
            },
        },
    ),
    "parameters": [
        {
            "name": "find",
            "in": "query",
            "required": False,
            "schema": {"type": "string", "enum": ["face"]},
            "description": "Cut the largest face out first; for servers with --find-faces.",
        }
    ],
}
"""Of `POST /predict`."""
INVOCATION = _extra(
    {
        "application/json": {
            "schema": {
                "type": "object",
                "description": "One of dataframe_split, dataframe_records, instances and inputs, with a "
                "column `image` of files in base64 or of pixels.",
            }
        }
    },
    {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": {"type": "object"}}},
    },
)
"""Of `POST /invocations`."""
