"""The queue of ``background()`` against a plain ``multiprocessing.Queue``, alternately in one run.

    python tests/benchmarks/queue_benchmark.py

Both carry the same dicts of 100 bytes between the same two processes, which ``background()`` starts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from izzati import Queue, background

_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The queue of background() against a multiprocessing.Queue.")
    parser.add_argument("--rounds", type=int, default=11, help="measurements of each queue (%(default)s)")
    parser.add_argument("--items", type=int, default=50_000, help="items one way in a measurement (%(default)s)")
    parser.add_argument("--trips", type=int, default=5_000, help="round trips in a measurement (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.items, options.trips) < 1:
        parser.error("--rounds, --items and --trips are at least 1")

    print(f"{'median of ' + str(options.rounds) + ' rounds':<28}{'izzati':>10}{'multiprocessing':>18}{'ratio':>8}")
    _print_row("items a second", *_alternately(options.rounds, _items_a_second, options.items))
    _print_row("microseconds a round trip", *_alternately(options.rounds, _microseconds_a_trip, options.trips))
    print("The ratio is the median of those of each round.")


def _alternately(
    rounds: int, measure: Callable[[Callable[[], Any], int], float], count: int
) -> tuple[list[float], list[float]]:
    """Measure both in every round, each first in every other: what slows the machine down slows down both."""
    ours: list[float] = []
    theirs: list[float] = []
    both = [(_queue_of_background, ours), (multiprocessing.Queue, theirs)]
    for number in range(rounds):
        for make_queue, results in both if number % 2 else reversed(both):
            results.append(measure(make_queue, count))
    return ours, theirs


def _print_row(label: str, ours: list[float], theirs: list[float]) -> None:
    ratio = statistics.median(own / other for own, other in zip(ours, theirs, strict=True))
    print(f"{label:<28}{statistics.median(ours):>10,.0f}{statistics.median(theirs):>18,.0f}{ratio:>8.2f}")


def _items_a_second(make_queue: Callable[[], Any], count: int) -> float:
    there, back = make_queue(), make_queue()
    process, _ = background(_drain, (there, back, count))
    back.get(timeout=_SECONDS)  # it is ready
    item = _item()
    begin = time.perf_counter()
    for _ in range(count):
        there.put(item)
    end = back.get(timeout=_SECONDS)
    process.join()
    return float(count / (end - begin))


def _microseconds_a_trip(make_queue: Callable[[], Any], count: int) -> float:
    there, back = make_queue(), make_queue()
    process, _ = background(_echo, (there, back, count))
    back.get(timeout=_SECONDS)  # it is ready
    item = _item()
    begin = time.perf_counter()
    for _ in range(count):
        there.put(item)
        back.get()
    end = time.perf_counter()
    process.join()
    return (end - begin) / count * 1e6


def _drain(q: Queue, there: Any, back: Any, count: int) -> None:
    back.put("ready")
    for _ in range(count):
        there.get()
    back.put(time.perf_counter())  # of one clock for all processes of a machine


def _echo(q: Queue, there: Any, back: Any, count: int) -> None:
    back.put("ready")
    for _ in range(count):
        back.put(there.get())


def _queue_of_background() -> Queue:
    process, queue = background(_nothing)
    process.join()
    return queue


def _nothing(q: Queue) -> None:
    pass


def _item() -> dict[str, Any]:
    """A dict that takes 100 bytes on its way."""
    item = {"number": 12345, "text": ""}
    item["text"] = "x" * (100 - len(pickle.dumps(item)))
    return item


if __name__ == "__main__":
    main()
