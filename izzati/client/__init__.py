"""The caller's side in Python: ``Frontend``, the answers that it gives, and what it raises.

``from izzati import Frontend`` loads this when it is asked for, since a server needs none of it, and no HTTP library.
"""

try:
    from izzati.client.frontend import Frontend
except ModuleNotFoundError as error:
    if error.name != "urllib3":
        raise
    raise ImportError(
        "Frontend needs the library urllib3, which comes with an extra of izzati; in a clone of it: "
        "pip install '.[client]'",
        name=error.name,
    ) from None

from izzati.client.answer import Answer, ReceivedFile
from izzati.client.errors import CallError, NoAnswer, NotReached, Refused

__all__ = ["Answer", "CallError", "Frontend", "NoAnswer", "NotReached", "ReceivedFile", "Refused"]
