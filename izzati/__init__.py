"""izzati: a function over HTTP, and plugins for everything around it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from izzati.backend import Backend
from izzati.background import background
from izzati.body import BLOCK, Body
from izzati.callbacks import Callback
from izzati.claims import Claims
from izzati.codecs import Codec
from izzati.collector import collector_paused
from izzati.config import Secret
from izzati.disposition import parse_disposition
from izzati.errors import BackgroundError, CallbackError, IzzatiError, OptionError, PluginError, Problem, UnknownScheme
from izzati.fields import fold_fields, parse_fields
from izzati.filenames import safe_filename
from izzati.files import FileReply, file_return
from izzati.handles import BackgroundOptions, Process, Queue
from izzati.limits import Limits
from izzati.markers import hookimpl
from izzati.message import NULL, Content, Identity, Reply, StoredFile
from izzati.negotiation import Codecs
from izzati.notebook import RunningServer
from izzati.request import Call, Request
from izzati.routes import Route
from izzati.serving import Listen, Server
from izzati.storage import Storage
from izzati.uploads import Sink, Upload, UploadedFile

if TYPE_CHECKING:
    # Each as itself, which makes it public to type checkers. None is in __all__, of which a star takes everything.
    from izzati.client import Answer as Answer
    from izzati.client import CallError as CallError
    from izzati.client import Frontend as Frontend
    from izzati.client import NoAnswer as NoAnswer
    from izzati.client import NotReached as NotReached
    from izzati.client import ReceivedFile as ReceivedFile
    from izzati.client import Refused as Refused

__version__ = "2.0.0.dev0"

__all__ = [
    "BLOCK",
    "NULL",
    "Backend",
    "BackgroundError",
    "BackgroundOptions",
    "Body",
    "Call",
    "Callback",
    "CallbackError",
    "Claims",
    "Codec",
    "Codecs",
    "Content",
    "FileReply",
    "Identity",
    "IzzatiError",
    "Limits",
    "Listen",
    "OptionError",
    "PluginError",
    "Problem",
    "Process",
    "Queue",
    "Reply",
    "Request",
    "Route",
    "RunningServer",
    "Secret",
    "Server",
    "Sink",
    "Storage",
    "StoredFile",
    "UnknownScheme",
    "Upload",
    "UploadedFile",
    "background",
    "collector_paused",
    "file_return",
    "fold_fields",
    "hookimpl",
    "parse_disposition",
    "parse_fields",
    "safe_filename",
]


def __getattr__(name: str) -> Any:
    """The caller's side, when it is asked for: its HTTP library is an extra, and a server needs none."""
    if name in ("Answer", "CallError", "Frontend", "NoAnswer", "NotReached", "ReceivedFile", "Refused"):
        return getattr(import_module("izzati.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
