"""Only who has the token gets in: izzati-auth stands at the door.

pip install . ./plugins/izzati-auth && python examples/auth.py
It prints how to call it.
"""

import os
import secrets

from izzati import Backend


def callback(text, data, *, request):
    return {"hello": request.identity.name}


if __name__ == "__main__":
    # A real program has its tokens in the environment alone: IZZATI_AUTH_TOKENS. This one makes one to try.
    token = os.environ.get("TOKEN") or secrets.token_urlsafe()
    print(f"curl -d name=Rex -H 'Authorization: Bearer {token}' localhost:5020", flush=True)
    Backend(callback, require=["auth"], options={"auth": {"tokens": {"ann": token}}}).run()
