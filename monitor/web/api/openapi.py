"""The description of the API, as OpenAPI 3.1, made of the operations themselves."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from monitor.web import api
from monitor.web.api import operation
from monitor.web.api.operation import JSON, Operation, Parameter
from monitor.web.shapes.problem import ProblemData

PATH: Final = f"{api.ROOT}/openapi.json"
PROBLEM: Final = "application/problem+json"

_REFS: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (400, 401, 403, 503)
"""How any operation may be refused."""

_WITH_BODY: Final = (408, 413, 415)

Document = dict[str, Any]


def operations(described: Sequence[Operation], version: str) -> list[Operation]:
    """Serve the description of *described*, and of itself."""

    @cache
    def text() -> bytes:
        return msgspec.json.encode(document([*described, own], version))

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=text(), content_type=JSON)

    own = operation.get(PATH, show, "Describe this API.", dict[str, Any])
    return [own]


def document(described: Iterable[Operation], version: str) -> Document:
    described = list(described)
    types = list(dict.fromkeys(_types(described)))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFS)
    schema = dict(zip(types, schemas, strict=True))
    paths: dict[str, Document] = {}
    for each in described:
        found = paths.setdefault(each.path, {})
        found[each.method.lower()] = _operation(each, schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Job Monitor",
            "version": version,
            "description": "What a Job Monitor knows, and what it can be told.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(described: Iterable[Operation]) -> Iterable[Any]:
    yield ProblemData
    for each in described:
        yield each.answer
        yield from (parameter.type for parameter in each.query)
        if each.body is not None:
            yield each.body


def _operation(of: Operation, schema: dict[Any, Any]) -> Document:
    said: Document = {
        "operationId": _name(of),
        "summary": of.summary,
        "tags": [of.path.removeprefix(f"{api.ROOT}/").partition("/")[0]],
        "parameters": [
            *(_variable(name) for name in re.findall(r"{(\w+)}", of.path)),
            *(_parameter(each, schema) for each in of.query),
        ],
        "responses": _responses(of, schema),
    }
    if of.body is not None:
        content = {JSON: {"schema": schema[of.body]}}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _name(of: Operation) -> str:
    words = re.findall(r"\w+", of.path.removeprefix(api.ROOT))
    return "_".join([of.method.lower(), *words])


def _variable(name: str) -> Document:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(of: Parameter, schema: dict[Any, Any]) -> Document:
    one = schema[of.type]
    return {
        "name": of.name,
        "in": "query",
        "description": of.help,
        "required": of.required,
        "schema": {"type": "array", "items": one} if of.many else one,
    }


def _responses(of: Operation, schema: dict[Any, Any]) -> Document:
    answer = {of.media: {"schema": schema[of.answer]}}
    problem = {PROBLEM: {"schema": schema[ProblemData]}}
    refusals = {*of.refusals, *_ALWAYS, *(_WITH_BODY if of.body is not None else ())}
    known = {of.status: answer, **dict.fromkeys(sorted(refusals), problem)}
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": answer if status < 300 else content,
        }
        for status, content in known.items()
    }
