"""Background work on a Ray cluster: the same script, on more than one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from izzati import BackgroundError, BackgroundOptions, hookimpl
from izzati_ray.handles import RayProcess, RayQueue, Share
from izzati_ray.link import Link, link
from izzati_ray.work import Gone, Work, describe

__all__ = ["Ray"]

# What ray's actors take that says where the function runs, and what it finds there.
_RESOURCES = (
    "accelerator_type",
    "label_selector",
    "memory",
    "num_cpus",
    "num_gpus",
    "resources",
    "runtime_env",
    "scheduling_strategy",
)
# Seconds in which the name of work that has ended becomes free.
_FREE = 30.0


class Ray:
    """Runs background work on a Ray cluster; without an address it leaves that to others.

    :param address: ``"auto"`` for the cluster of which this machine is a node, or host and port of its head.
    :param runtime_env: what the nodes shall have for this program, as ``ray.init`` takes it:
        ``{"working_dir": "."}`` sends the modules of this folder along.
    """

    def __init__(self, address: str | None = None, runtime_env: Mapping[str, Any] | None = None) -> None:
        if address is not None and "://" in address:
            raise ValueError(
                f"ray: address={address!r} is of a protocol that cannot be used here; it takes 'auto', or host and "
                "port of the cluster's head, such as '10.0.0.5:6379'"
            )
        self._address = address
        self._options = {"runtime_env": dict(runtime_env)} if runtime_env else {}

    @hookimpl
    def izzati_background(
        self, target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: BackgroundOptions
    ) -> tuple[RayProcess, RayQueue] | None:
        if not self._address or options.local:
            return None
        _require_possible(options)
        work = describe(target, args, kwargs, options)
        way = link(self._address, self._options)
        Share.forget()
        share = None if work.named else Share(work.key, way.address)
        found = _found_or_made(way, work)
        if found.key != work.key and (difference := work.difference(found)):
            raise ValueError(
                f"the background work named {work.title!r} {difference}: choose another name, or end that one first"
            )
        return (
            RayProcess(found.key, way.address, work.title, share),
            RayQueue(found.key, way.address, found.maxsize, share),
        )


def _found_or_made(way: Link, work: Work) -> Work:
    """The work of this name, which may be this one."""
    deadline = time.monotonic() + _FREE
    while True:
        try:
            found, goes_on = way.create(work).result()
            if goes_on or found.key == work.key:
                return found
            way.ask(found.key, "forget").result()
        except Gone:
            pass  # it has just gone
        if time.monotonic() > deadline:
            raise BackgroundError(f"the name {work.title!r} belongs to work that has ended, and does not become free")


def _require_possible(options: BackgroundOptions) -> None:
    if find_spec("ray") is None:
        raise BackgroundError(
            "Ray is not installed here, since it has no build for this system or this Python: unset "
            "IZZATI_RAY_ADDRESS, and the work runs on this machine"
        )
    if not hasattr(os, "register_at_fork"):
        raise BackgroundError("Ray's clusters are for Linux and macOS: unset IZZATI_RAY_ADDRESS")
    unknown = [name for name in options.resources if name not in _RESOURCES]
    if unknown:
        raise BackgroundError(
            f"background() got {', '.join(unknown)}, which Ray does not know; it takes {', '.join(_RESOURCES)}"
        )
