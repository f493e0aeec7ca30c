"""How OpenAPI describes bodies that are read by hand, and failures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from unite.serve.schemas import FailureOut

_FILES = {
    "type": "array",
    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
}


def body_of(form: type[BaseModel]) -> dict[str, Any]:
    """A body that is JSON, or a form with files."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    fields = {"image": _FILES, "video": _FILES}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _inlined(schema, definitions)},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": fields, "additionalProperties": True}
                },
            },
        }
    }


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The statuses with which a route may fail."""
    return {
        status: {"model": FailureOut, "description": HTTPStatus(status).phrase}
        for status in statuses
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references, as nothing else in the document defines them."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
