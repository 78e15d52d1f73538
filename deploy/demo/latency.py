"""Merges the latencies that the instances of the demonstration have written, see journal.hpp."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

WINDOW_S = 0.1  # kWindow of journal.cpp


@dataclass
class Latency:
    """All operations that ended within a span of time."""

    count: int = 0
    worst_us: int = 0
    histogram_us: Counter = field(default_factory=Counter)

    def percentile_us(self, share: float) -> int:
        seen = 0
        for bound in sorted(self.histogram_us):
            seen += self.histogram_us[bound]
            if seen >= share * self.count:
                return min(bound, self.worst_us)
        return 0


def read_windows(files: list[Path]) -> list[dict]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def between(windows: list[dict], begin: float, end: float) -> Latency:
    """Of the windows that touch begin to end (seconds since the epoch)."""
    merged = Latency()
    for window in windows:
        at = window["at_ms"] / 1000
        if at + WINDOW_S < begin or at > end:
            continue
        merged.count += window["count"]
        merged.worst_us = max(merged.worst_us, window["worst_us"])
        for bound, count in window["histogram_us"].items():
            merged.histogram_us[int(bound)] += count
    return merged
