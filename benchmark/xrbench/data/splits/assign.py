"""Assignment of the patients of one base to training, validation and test, by a hash of their ids."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

SplitName = Literal["train", "valid", "test"]
UNKNOWN = -1
"""Stratum of patients without a known class."""


def assign_patients(
    base: str,
    patients: Iterable[str],
    *,
    seed: int,
    test: float,
    valid: float,
    strata: Mapping[str, int] | None = None,
) -> dict[str, SplitName]:
    """Assign every patient of a base to training, validation or test.

    Patients are sorted by a hash of (seed, base, patient); the first ``ceil(test * n)`` are the test patients, the next
    ``ceil(valid * rest)`` the validation patients. The result does not depend on the order in which patients are given.

    Args:
        base: Name of the dataset whose patients these are.
        patients: Patient ids; repeats are ignored.
        seed: Split seed.
        test: Share of the patients, 0 <= test < 1.
        valid: Share of the remaining patients, 0 <= valid < 1.
        strata: Patient -> stratum. The splits are as large as without strata, and each stratum has its proportional share of
            them (see ``apportion``). Patients who are not in it are a stratum of their own.

    Returns:
        Patient -> ``train``, ``valid`` or ``test``.

    >>> list(assign_patients("a", ["p1", "p2", "p3", "p4", "p5"], seed=0, test=0.2, valid=0.25).values()).count("train")
    3
    """
    ordered = sorted(set(patients), key=lambda patient: _hash(seed, base, patient))
    stratum = {patient: strata.get(patient, UNKNOWN) if strata else UNKNOWN for patient in ordered}
    n_test = math.ceil(test * len(ordered))
    n_valid = math.ceil(valid * (len(ordered) - n_test))
    # all patients train at first; test patients are taken out before validation patients, so that both shares are as documented
    split_of: dict[str, SplitName] = dict.fromkeys(ordered, "train")
    split_of.update(dict.fromkeys(_take(ordered, stratum, n_test), "test"))
    rest = [patient for patient in ordered if split_of[patient] != "test"]
    split_of.update(dict.fromkeys(_take(rest, stratum, n_valid), "valid"))
    return split_of


def apportion(sizes: Mapping[int, int], total: int) -> dict[int, int]:
    """Divide a total among strata in proportion to their sizes, by the method of largest remainders.

    Of equal remainders the stratum with the smaller number is rounded up first. No stratum gets more than its size.

    Args:
        sizes: Stratum -> its size.
        total: Sum of the result, at most the sum of the sizes.

    >>> apportion({0: 50, 1: 30, 2: 20}, 21)
    {0: 11, 1: 6, 2: 4}
    """
    population = sum(sizes.values())
    if not population:
        return dict.fromkeys(sizes, 0)
    # integer arithmetic: with floating point equal remainders could differ by rounding
    shares = {number: divmod(total * size, population) for number, size in sizes.items()}
    left_over = total - sum(floor for floor, _ in shares.values())
    rounded_up = sorted(sizes, key=lambda number: (-shares[number][1], number))[:left_over]
    return {number: floor + (number in rounded_up) for number, (floor, _) in shares.items()}


def _take(ordered: list[str], stratum: Mapping[str, int], total: int) -> list[str]:
    """Take ``total`` patients in their order, from each stratum its share."""
    quota = apportion(Counter(stratum[patient] for patient in ordered), total)
    taken = []
    for patient in ordered:
        if quota[stratum[patient]]:
            quota[stratum[patient]] -= 1
            taken.append(patient)
    return taken


def _hash(seed: int, base: str, patient: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{base}\x1f{patient}".encode(), digest_size=8).digest()
