"""izzati: a function over HTTP, and plugins for everything around it."""

from izzati.backend import Backend
from izzati.background import background
from izzati.body import BLOCK, Body
from izzati.claims import Claims
from izzati.codecs import Codec
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

__version__ = "2.0.0.dev0"

__all__ = [
    "BLOCK",
    "NULL",
    "Backend",
    "BackgroundError",
    "BackgroundOptions",
    "Body",
    "Call",
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
    "file_return",
    "fold_fields",
    "hookimpl",
    "parse_disposition",
    "parse_fields",
    "safe_filename",
]
