"""Verifies a webhook with libraries that know nothing of Lacuna: `standardwebhooks` for v1, `cryptography` for v1a.

Reads {"key", "headers", "body"} from stdin and prints `verified` or `refused`. The key is `whsec_…` or `whpk_…`.
"""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def verify_ed25519(key, headers, body):
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for signature in headers["webhook-signature"].split(" "):
        version, value = signature.split(",", 1)
        if version == "v1a":
            try:
                return public.verify(base64.b64decode(value), content)
            except InvalidSignature:
                continue
    raise WebhookVerificationError("no signature matches")


asked = json.load(sys.stdin)
try:
    if asked["key"].startswith("whpk_"):
        verify_ed25519(asked["key"], asked["headers"], asked["body"])
    else:
        Webhook(asked["key"]).verify(asked["body"], asked["headers"])
    print("verified")
except WebhookVerificationError:
    print("refused")
