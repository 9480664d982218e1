"""``izzati plugins``: every plugin that there is, in which state, and what it does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from izzati import __version__
from izzati.config import Option
from izzati.plugins import PluginRecord

__all__ = ["as_json", "as_text"]


def as_json(records: Iterable[PluginRecord]) -> str:
    """A list of objects, one for each plugin, in the order in which they are asked."""
    return json.dumps([_describe(record) for record in records], indent=2)


def as_text(records: Iterable[PluginRecord]) -> str:
    """A paragraph for each plugin."""
    return "\n".join(line for record in records for line in _lines(_describe(record), record.options))


def _describe(record: PluginRecord) -> dict[str, Any]:
    entry = record.entry
    built_in = entry is not None and entry.distribution is None
    claims = {kind: list(values) for kind, values in asdict(record.claims).items() if values}
    return {
        "name": record.name,
        "distribution": "izzati" if built_in else entry and entry.distribution,
        "version": __version__ if built_in else entry and entry.version,
        "state": record.state,
        "problems": [str(fault) for fault in record.faults],
        "hooks": record.hooks,
        "claims": claims,
        "options": [
            {
                "name": option.name,
                "takes": option.takes,
                "value": _plain(option),
                "source": option.source,
                "secret": option.secret,
            }
            for option in record.options
        ],
    }


def _plain(option: Option) -> Any:
    """The value as JSON has it; else how it is printed, and nothing at all for a secret."""
    if option.hidden:
        return None
    try:
        return json.loads(json.dumps(option.value, allow_nan=False, default=str))
    except (TypeError, ValueError):
        return repr(option.value)


def _lines(plugin: dict[str, Any], options: Iterable[Option]) -> Iterator[str]:
    origin = f"{plugin['distribution']} {plugin['version']}" if plugin["distribution"] else "given to the Backend"
    yield f"{plugin['name']:<15} {plugin['state']:<9} {origin}"
    for problem in plugin["problems"]:
        yield f"    problem   {problem}"
    if plugin["hooks"]:
        yield f"    hooks     {' '.join(hook.removeprefix('izzati_') for hook in plugin['hooks'])}"
    for kind, values in plugin["claims"].items():
        yield f"    {kind:<9} {' '.join(value or repr(value) for value in values)}"
    for option in options:
        value = "(secret)" if option.hidden else repr(_plain(option))
        yield f"    option    {option.name} = {value}   ({option.takes}; from {option.source})"
