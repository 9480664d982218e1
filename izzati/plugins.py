"""A Backend's plugins: loaded one by one, checked, put in order, asked for their claims."""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from izzati.answers import WrongAnswer
from izzati.chains import Chains, culprit
from izzati.checks import SPECS, Manager, faults, guards
from izzati.claims import Claims, conflicts, owners
from izzati.config import Option, Settings
from izzati.discovery import DEFAULTS, Entry, Selection, installed
from izzati.errors import OptionError, PluginError

__all__ = ["PluginRecord", "Plugins"]

log = logging.getLogger("izzati")

_RECOGNIZABLE = 4
"""Characters that a secret must have to be replaced alone, where it occurs in a sentence."""


class PluginRecord:
    """A plugin, whether or not it is used, and why.

    :param origin: what a message calls it.
    :param entry: where it was found; None if it was given to the Backend.
    """

    def __init__(self, name: str, origin: str, entry: Entry | None = None) -> None:
        self.name = name
        self.origin = origin
        self.entry = entry
        #: ``"active"``, ``"blocked"``, ``"broken"``, or why else it is not used
        self.state = "active"
        #: what is wrong with it
        self.faults: list[PluginError] = []
        #: the hooks that it implements
        self.hooks: list[str] = []
        #: its options, each with its value
        self.options: list[Option] = []
        #: the object that implements hooks; None unless it could be made
        self.plugin: Any = None
        self.claims = Claims()
        #: True if it decides who may call
        self.guards = False

    def fail(self, error: BaseException) -> None:
        """Take it as broken, for one more reason."""
        self.state = "broken"
        self.faults.append(_told(error, f"{self.origin}: ", self.options))


class Plugins:
    """The plugins of one Backend, with a pluggy manager of their own.

    :param given: plugins made by the user; asked first, in this order. One whose class is that of an installed or
        built-in plugin takes its place.
    :param settings: the options of the others.
    :param selection: which of them are used, and in which order they are asked.
    :param strict: False to leave out what is broken, with a warning in the log; None for what the settings say.
    :param implementing: use only plugins that implement this hook; the others are not made.
    :raises PluginError: with everything that is wrong with any of them; an OptionError if that is options alone.
    """

    def __init__(
        self,
        given: Sequence[Any],
        settings: Settings,
        selection: Selection,
        *,
        strict: bool | None = None,
        implementing: str | None = None,
    ) -> None:
        strict = settings.strict if strict is None else strict
        self._manager = Manager()
        #: every plugin that there is, those that are not used as well, in the order in which they are asked
        self.records: list[PluginRecord] = []
        problems: list[PluginError] = []
        candidates = list(_candidates(given, selection.block, settings))
        names = {record.name for record, _ in candidates}
        unassigned = settings.assign({*names, "limits"}, {record.name for record, _ in candidates if not record.entry})
        if implementing is None:
            problems += map(OptionError, unassigned)
            problems += map(PluginError, selection.unknown(names, settings.block))
        selection = selection._replace(block=(*selection.block, *settings.block))
        places = {name: place for place, name in enumerate(selection.sort(record.name for record, _ in candidates))}
        for record, make in sorted(candidates, key=lambda candidate: places[candidate[0].name]):
            self.records.append(record)
            record.state = (record.entry and selection.leaves_out(record.entry)) or record.state
            if record.entry is None and (source := settings.source_of(record.name)):
                record.fail(OptionError(f"options were given as well (by {source}), but its own are its arguments"))
            if record.state in ("active", "broken"):
                self._load(record, make, implementing)
        self._settle_claims(selection, skip=not strict)
        problems += [fault for record in self.records for fault in record.faults]
        missing = [PluginError(_not_active(name, self.records)) for name in selection.require if not self._has(name)]
        if missing or (strict and problems):
            raise _all_of([*problems, *missing], self.records)
        for problem in problems:
            log.warning("left out: %s", problem)
        #: name to plugin, in the order in which they are asked
        self.by_name = {record.name: record.plugin for record in self._active()}
        for name, plugin in reversed(self.by_name.items()):  # pluggy asks the last registered first
            self._manager.register(plugin, name)
        self.hooks = Chains(self._manager.hook)
        #: True if any plugin identifies callers
        self.identify = bool(self.hooks.implementations("izzati_identify"))
        claims = {record.name: record.claims for record in self._active()}
        #: media type (or pattern) to the name of the plugin that reads it
        self.readers = owners(claims, lambda its: its.reads)
        #: media type to the name of the plugin that writes it
        self.writers = owners(claims, lambda its: its.writes)
        #: a WWW-Authenticate value for each way to identify
        self.challenges = [challenge for its in claims.values() for challenge in its.challenges]
        #: names of plugins that should decide who may call, and cannot
        self.broken_guards = [record.name for record in self.records if record.state == "broken" and record.guards]

    def failure(self, error: Exception) -> PluginError:
        """What to raise in place of an exception of a plugin that keeps the Backend from serving, without any secret.

        Its cause is that exception, unless a secret stands in it.
        """
        options = [option for record in self.records for option in record.options]
        where = "" if isinstance(error, WrongAnswer) else f"{culprit(error) or 'a plugin'} failed: "
        failure = _told(error, where, options)
        whole = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        failure.__cause__ = error if _without_secrets(whole, options) == whole else None
        return failure

    def _active(self) -> Iterator[PluginRecord]:
        return (record for record in self.records if record.state == "active")

    def _has(self, name: str) -> bool:
        return any(record.name == name for record in self._active())

    def _load(self, record: PluginRecord, make: Callable[[PluginRecord], Any], implementing: str | None) -> None:
        try:
            made = make(record)
            found = self._manager.implementations(made)
            unknown = inspect.isfunction(made)  # what it makes
            record.guards = guards(found) or unknown
            if implementing is not None and not unknown and all(hook != implementing for _, hook, _ in found):
                record.state = f"without {implementing}"
            if record.state != "active":
                return
            if record.entry is not None and (inspect.isclass(made) or unknown):
                made = made(**{option.name: option.value for option in record.options})
                found = self._manager.implementations(made)
                record.guards = guards(found)
            record.plugin = made
            for fault in faults(made, found):
                record.fail(PluginError(fault))
            names = {hook: name for name, hook, _ in found}
            record.hooks = [hook for hook in SPECS if hook in names]
            if "izzati_claims" in names:
                claims = getattr(made, names["izzati_claims"])()
                if not isinstance(claims, Claims):
                    raise PluginError(f"izzati_claims gives {claims!r}, and must give an izzati.Claims")
                record.claims = claims
                record.guards = record.guards or bool(claims.challenges)
        except (Exception, SystemExit) as error:  # a plugin must not end the program, not even on purpose
            record.fail(error)

    def _settle_claims(self, selection: Selection, *, skip: bool) -> None:
        """Find conflicts. The one who is at fault is the later one, but a built-in plugin never is."""
        built_in = {entry.name for entry in DEFAULTS}
        for conflict in conflicts({record.name: record.claims for record in self._active()}, selection.order):
            name = conflict.first if conflict.second in built_in else conflict.second
            record = next(record for record in self.records if record.name == name)
            if record.state == "active" or not skip:
                record.fail(PluginError(str(conflict)))


def _candidates(
    given: Sequence[Any], blocked: Sequence[str], settings: Settings
) -> Iterator[tuple[PluginRecord, Callable[[PluginRecord], Any]]]:
    """Every plugin that there is, and what loads it: it gives the plugin, or what makes it."""
    entries = (*installed(), *DEFAULTS)
    unblocked = {entry.name: entry for entry in entries if entry.name not in (*blocked, *settings.block)}
    seen: dict[str, str] = {}
    replaced = set()
    for plugin in given:
        of = next((entry for entry in entries if _is_of(plugin, entry)), None)
        name = of.name if of else getattr(plugin, "__name__", type(plugin).__name__)
        record = PluginRecord(name, f"plugin {name!r}, given to the Backend")
        if isinstance(plugin, str):
            record.fail(PluginError(f"{plugin!r} is no object; installed plugins need not be given"))
        elif name in seen:
            record.fail(PluginError("it is given twice, or another one of this name is"))
        elif of is None and name in unblocked:
            record.fail(PluginError(f"{unblocked[name].origin} has the same name; rename this one, or block that one"))
        elif of is not None:
            replaced.add(name)
            _settle_block(record, blocked, settings)
        seen.setdefault(name, record.origin)
        yield record, partial(_given, plugin)
    for entry in entries:
        if entry.name not in replaced:
            record = PluginRecord(entry.name, entry.origin, entry)
            if seen.setdefault(entry.name, entry.origin) != entry.origin and entry.name in unblocked:
                record.fail(PluginError(f"{seen[entry.name]} has the same name; uninstall one of them, or block both"))
            yield record, partial(_load_entry, entry, settings)


def _settle_block(record: PluginRecord, blocked: Sequence[str], settings: Settings) -> None:
    """A plugin that the program gives: it cannot mean to block it as well, and where it runs is weaker than it."""
    if record.name in blocked:
        record.fail(PluginError("it is blocked as well"))
    elif record.name in settings.block:
        log.warning("%s: it stays, although it is blocked where the program runs", record.origin)


def _given(plugin: Any, record: PluginRecord) -> Any:
    return plugin


def _load_entry(entry: Entry, settings: Settings, record: PluginRecord) -> Any:
    found = entry.load()
    makes = inspect.isclass(found) or inspect.isfunction(found)
    record.options = settings.options(entry.name, found if makes else lambda: None)
    return found


def _is_of(plugin: Any, entry: Entry) -> bool:
    """True if it is what the entry names, or of the class that the entry names."""
    # Whose class is at hand has imported the module that the entry names, or the class is another one.
    if entry.value.partition(":")[0] not in sys.modules:
        return False
    try:
        named = entry.load()
    except (ImportError, AttributeError):
        return False
    return named is plugin or named is type(plugin)


def _told(error: BaseException, where: str, options: Iterable[Option]) -> PluginError:
    """The same as an error of izzati's own, without the values of options that are never printed."""
    kind = OptionError if isinstance(error, OptionError) else PluginError
    what = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
    return kind(f"{where}{what}{_without_secrets(str(error), options)}")


def _without_secrets(text: str, options: Iterable[Option]) -> str:
    """The text without the values of options that are never printed."""
    secrets = {str(part) for option in options if option.secret for part in _parts(option.value)} - {""}
    if any(len(secret) < _RECOGNIZABLE and secret in text for secret in secrets):
        return "(what it says may be a secret)"  # a hole in a word would show what is missing
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(secret)").replace(repr(secret)[1:-1], "(secret)")
    return text


def _parts(value: Any) -> Iterator[Any]:
    """All that a value is made of."""
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple, set, frozenset)):
        yield from () if value is None else (value,)
        return
    for each in value:
        yield from _parts(each)


def _not_active(name: str, records: Iterable[PluginRecord]) -> str:
    record = next((record for record in records if record.name == name), None)
    return f"require={name!r}: " + (f"it is {record.state}" if record else "there is no such plugin; install it")


def _all_of(problems: Sequence[PluginError], records: Iterable[PluginRecord]) -> PluginError:
    kind = OptionError if all(isinstance(problem, OptionError) for problem in problems) else PluginError
    lines = ["the Backend cannot start with these plugins:", *map(str, problems)]
    broken = [record.name for record in records if record.entry and record.entry.distribution and record.faults]
    if broken:
        lines.append(f"Mend them, or leave them out: Backend(…, block={broken}), or IZZATI_BLOCK={','.join(broken)}")
    return kind("\n  ".join(lines))
