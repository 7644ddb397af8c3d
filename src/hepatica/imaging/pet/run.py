"""How a computation runs, which changes nothing of what is computed but the draw of random numbers."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Run:
    """Seed, device, CPU threads (None for all), and who is told where the work stands."""

    seed: int = 1
    device: str = "cpu"
    threads: int | None = None
    progress: Progress = silent


PLAIN = Run()


def prefixed(progress: Progress, before: str) -> Progress:
    """Told what part of the work a step belongs to."""

    def tell(text: str) -> None:
        progress(before + text)

    return tell
