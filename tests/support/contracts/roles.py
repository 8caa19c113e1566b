"""What schemathesis has to know of this API beside its description: which token goes with which call, and which ids are there."""

import json
import os
import zlib

import schemathesis

TOKENS = json.loads(os.environ["LACUNA_TOKENS"])
SEEN = json.loads(os.environ["LACUNA_SEEN"])


def role_of(operation):
    roles = operation.definition.raw.get("x-roles", [])
    return next((role for role in roles if role in TOKENS), None)


@schemathesis.auth(cache_by_key=lambda case, context: role_of(case.operation) or "none")
class ByRole:
    """The bearer of the first role that a call takes."""

    def get(self, case, context):
        return TOKENS.get(role_of(case.operation))

    def set(self, case, data, context):
        if data:
            case.headers = case.headers or {}
            case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the ids are those of things that are there: nobody guesses a UUID. Which half, the id itself says, so that a run can
    be repeated."""
    if not path_parameters or zlib.crc32(str(path_parameters.get("id")).encode()) % 2:
        return path_parameters
    path = context.operation.path
    for name in path_parameters:
        if name == "id":
            kind = next((kind for kind in SEEN if f"/{kind}/" in path), None)
            if kind:
                path_parameters["id"] = SEEN[kind]
    return path_parameters
