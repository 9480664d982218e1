"""What a process that is connected to Ray does for handles: it makes inboxes, and asks them."""

from __future__ import annotations

from concurrent.futures import Future
from functools import cache
from importlib import import_module
from typing import Any

import ray

from izzati import BackgroundError
from izzati_ray.work import Gone, Key, Work

__all__ = ["NAMESPACE", "Cluster"]

NAMESPACE = "izzati"
# What waits for an item, for room or for an end is a call that is open meanwhile.
_OPEN_CALLS = 100_000


class Cluster:
    """Ray, where this process is connected to it.

    :param address: host and port of the cluster's head.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._actors: dict[Key, Any] = {}

    def create(self, work: Work) -> Future[tuple[Work, bool]]:
        """Make the inbox of a work, or find that of its name: what it was made with, and whether that goes on."""
        actor = (
            _inbox()
            .options(
                name=work.key.actor,
                namespace=NAMESPACE,
                get_if_exists=True,
                lifetime="detached" if work.named else None,
                num_cpus=0,
                # On the head: so no node that is lost takes a queue with it, and without a head there is no cluster.
                resources={"node:__internal_head__": 0.0001},
                max_concurrency=_OPEN_CALLS,
                max_restarts=-1 if work.restart else 0,
                max_task_retries=-1,
            )
            .remote(work, self.address)
        )
        if not work.named:
            self._actors[work.key] = actor  # else Ray would end it
        return _answer(actor.work.remote(), work.key)

    def ask(self, key: Key, question: str, *args: Any) -> Future[Any]:
        """Ask the inbox of a work; its methods are the questions.

        :returns: the answer; a Gone, if there is no such inbox any more.
        """
        if key not in self._actors:
            try:
                self._actors[key] = ray.get_actor(key.actor, NAMESPACE)
            except ValueError:
                return _failed(Gone(_gone(key)))
        answer = _answer(self._actors[key].ask.remote(key.token, question, *args), key)
        if question == "forget":  # it is answered at the end; without this handle Ray would end it now
            answer.add_done_callback(lambda _: self._actors.pop(key, None))
        return answer


@cache
def _inbox() -> Any:
    # By name, since an inbox starts what is connected to the cluster itself.
    return ray.remote(import_module("izzati_ray.inbox").Inbox)


def _answer(reference: Any, key: Key) -> Future[Any]:
    """What a call of an actor gives, in izzati's exceptions."""
    answer: Future[Any] = Future()

    def settle(given: Future[Any]) -> None:
        error = given.exception()
        if error is None:
            answer.set_result(given.result())
        elif isinstance(error, (Gone, ray.exceptions.ActorDiedError)):
            answer.set_exception(Gone(_gone(key)))
        else:
            answer.set_exception(BackgroundError(f"the cluster failed: {error}"))

    reference.future().add_done_callback(settle)
    return answer


def _failed(error: BackgroundError) -> Future[Any]:
    failed: Future[Any] = Future()
    failed.set_exception(error)
    return failed


def _gone(key: Key) -> str:
    return f"the queue of the background work {key.actor} is no more: the work has ended, and who held it let it go"
