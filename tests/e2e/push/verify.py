"""Checks signed webhooks with the reference library of Standard Webhooks: cases as JSON on standard input."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

cases = json.load(sys.stdin)
assert len(cases) > 2, "nothing to check"
for number, case in enumerate(cases):
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
        good = True
    except WebhookVerificationError:
        good = False
    if good == case["forged"]:
        sys.exit(f"case {number}: taken for {'good' if good else 'forged'}")
