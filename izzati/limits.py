"""How much one request may ask for, and the sentence for one that asks for more."""

from __future__ import annotations

from dataclasses import dataclass

from izzati.errors import Problem

__all__ = ["Limits", "human"]


@dataclass(frozen=True)
class Limits:
    """What one request may cost; ``Backend(callback, limits=Limits(body=2 << 30))`` moves a limit.

    :param body: bytes of a request's body, counted while it streams.
    :param text: bytes held in memory to become ``text``: a whole JSON body, or all form fields together.
    :param parts: form fields and files in one request.
    :param depth: how deeply decoded values may nest.
    :param seconds: how long a callback may take before its caller gets a 503; None for as long as it likes. It is not
        ended then: Python cannot end a thread.
    :raises ValueError: if a limit is not a positive whole number; ``seconds`` need not be a whole one.
    """

    body: int = 1 << 30
    text: int = 16 << 20
    parts: int = 2_000
    depth: int = 100
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "seconds":
                if value is not None and (not isinstance(value, (int, float)) or not value > 0):
                    raise ValueError(f"Limits(seconds=…) takes a number above 0 or None, not {value!r}")
            elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"Limits({name}=…) takes a whole number above 0, not {value!r}")

    def exceeded(self, name: str, what: str, status: int = 413) -> Problem:
        """The refusal of a request that goes beyond the limit ``name``; it says how the limit is moved.

        :param what: the beginning of the sentence, such as ``"The body"``.
        """
        value = getattr(self, name)
        shown = human(value) if name in ("body", "text") else f"{value:,}"
        return Problem(
            status,
            f"{what} is more than the {shown} that this server takes. "
            f"Send less, or have its owner raise the limit: Backend(..., limits=Limits({name}=...)).",
            limit=name,
            maximum=value,
        )

    def too_late(self) -> Problem:
        """The 503 for a caller whose answer took longer than ``seconds``."""
        return Problem(
            503,
            f"The answer took longer than the {self.seconds:g} seconds that this server gives it. "
            "Ask for less, or have its owner raise the limit: Backend(..., limits=Limits(seconds=...)).",
            limit="seconds",
            maximum=self.seconds,
        )


def human(size: int) -> str:
    """A number of bytes as people write it: ``16 MiB``."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            number = size / (1 << power)
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
    return f"{size} bytes"
