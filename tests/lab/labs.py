"""Labs side by side, for the runners of this folder."""

import subprocess
from pathlib import Path
from typing import Callable

REPO = Path(__file__).resolve().parent.parent.parent


def run_labs(runner: str, cases: list, jobs: int, options: Callable[[list], list[str]],
             seconds: Callable[[list], int]) -> int:
    """Starts `runner --here` in up to `jobs` labs, each with its share of the cases, as a lab has one CPU.

    `options` and `seconds` tell what a share needs: words after --here, and a deadline beside the lab's start.
    Returns the worst exit status.
    """
    jobs = min(jobs, len(cases))
    shares = [cases[number::jobs] for number in range(jobs)]
    labs = [subprocess.Popen([REPO / "scripts/lab", "--deadline", str(60 + seconds(share)), "--",
                              Path(runner).resolve(), "--here", *options(share)]) for share in shares]
    return max(lab.wait() for lab in labs)
