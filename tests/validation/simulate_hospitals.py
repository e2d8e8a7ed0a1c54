"""How often does the interval for a next hospital hold its AUC, after so few hospitals?

    python tests/validation/simulate_hospitals.py       # writes hospitals.csv here; a minute

Logits of the AUC are normal over hospitals with standard deviation tau around that of 0.85; each is measured with a standard error of its
own, 0.1 to 0.3, as 1,500 to 200 patients give. ``mean`` and ``next`` are the percentages of 95 % intervals that hold the mean and the
logit of one more hospital, ``width`` the median width of the latter as an AUC.
"""

from __future__ import annotations

import argparse
import csv
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from xrbench import statistics

HERE = Path(__file__).parent
SIMULATIONS = 5000
CENTRE = float(special.logit(0.85))


def simulate(hospitals: int, tau: float, simulations: int) -> dict[str, Any]:
    """Simulate one number of hospitals and one spread."""
    rng = np.random.default_rng(zlib.crc32(repr((hospitals, tau)).encode()))
    mean, ahead, width = 0, 0, []
    for _ in range(simulations):
        errors = rng.uniform(0.1, 0.3, hospitals)
        true = CENTRE + tau * rng.normal(size=hospitals + 1)
        seen = special.expit(true[:-1] + errors * rng.normal(size=hospitals))
        slopes = seen * (1 - seen)
        row = statistics.next_hospital(list(zip(seen, (errors * slopes) ** 2, strict=True)))
        mean += row.low <= special.expit(CENTRE) <= row.high
        ahead += row.next_low <= special.expit(true[-1]) <= row.next_high
        width.append(row.next_high - row.next_low)
    shares = {"mean": round(100 * mean / simulations, 2), "next": round(100 * ahead / simulations, 2)}
    return {
        "hospitals": hospitals,
        "tau": tau,
        "simulations": simulations,
        **shares,
        "width": round(float(np.median(width)), 3),
    }


def main() -> None:
    """Simulate and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    given = parser.parse_args()
    rows = [simulate(h, tau, given.simulations) for h in (2, 3, 4, 5, 10) for tau in (0.0, 0.2, 0.5, 1.0)]
    with (HERE / "hospitals.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
