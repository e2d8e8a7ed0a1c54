"""Assign the patients of one base to training, validation and test by a hash, which no order of files can change."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

Side = Literal["train", "valid", "test"]
UNKNOWN = -1
"""Stratum of a patient about whom no class is known."""


def sides(
    base: str,
    patients: Iterable[str],
    *,
    seed: int,
    test: float,
    valid: float,
    strata: Mapping[str, int] | None = None,
) -> dict[str, Side]:
    """Assign every patient of a base to one side.

    Patients are put in the order of a hash of (seed, base, patient); the first ``ceil(test * n)`` are the test side, the next
    ``ceil(valid * rest)`` the validation side. The outcome does not depend on the order in which patients are given.

    Args:
        base: Name of the dataset whose patients these are.
        patients: Patient ids; repeats do not matter.
        seed: Split seed.
        test: Share of the patients, 0 <= test < 1.
        valid: Share of the remaining patients, 0 <= valid < 1.
        strata: Patient -> stratum: the sides are as large as without, and each stratum has its share of them, to the patient
            (see ``apportion``). Patients who are not in it are a stratum of their own.

    >>> list(sides("a", ["p1", "p2", "p3", "p4", "p5"], seed=0, test=0.2, valid=0.25).values()).count("train")
    3
    """
    ordered = sorted(set(patients), key=lambda patient: _order(seed, base, patient))
    stratum = {patient: strata.get(patient, UNKNOWN) if strata else UNKNOWN for patient in ordered}
    n_test = math.ceil(test * len(ordered))
    n_valid = math.ceil(valid * (len(ordered) - n_test))
    found: dict[str, Side] = dict.fromkeys(ordered, "train")
    found.update(dict.fromkeys(_first(ordered, stratum, n_test), "test"))
    rest = [patient for patient in ordered if found[patient] != "test"]
    found.update(dict.fromkeys(_first(rest, stratum, n_valid), "valid"))
    return found


def apportion(sizes: Mapping[int, int], total: int) -> dict[int, int]:
    """Divide a total among strata in proportion to their sizes: whole numbers, the largest remainders rounded up.

    Of equal remainders the stratum with the smaller number goes first. The sum is ``total``, which is at most that of the
    sizes, and no stratum gets more than it has.

    >>> apportion({0: 50, 1: 30, 2: 20}, 21)
    {0: 11, 1: 6, 2: 4}
    """
    everyone = sum(sizes.values())
    if not everyone:
        return dict.fromkeys(sizes, 0)
    shares = {number: divmod(total * size, everyone) for number, size in sizes.items()}
    missing = total - sum(whole for whole, _ in shares.values())
    rounded_up = sorted(sizes, key=lambda number: (-shares[number][1], number))[:missing]
    return {number: whole + (number in rounded_up) for number, (whole, _) in shares.items()}


def _first(ordered: list[str], stratum: Mapping[str, int], total: int) -> list[str]:
    """Take so many patients in their order, from each stratum its share."""
    quota = apportion(Counter(stratum[patient] for patient in ordered), total)
    taken = []
    for patient in ordered:
        if quota[stratum[patient]]:
            quota[stratum[patient]] -= 1
            taken.append(patient)
    return taken


def _order(seed: int, base: str, patient: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{base}\x1f{patient}".encode(), digest_size=8).digest()
