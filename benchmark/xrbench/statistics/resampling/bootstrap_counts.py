"""Patient counts of bootstrap replicates and of left-out groups (compiled).

Replicate ``r`` of a key has a stream of its own, Philox4x32-10 with the counter ``(block, 0, r, 0)``: Salmon et al. (2011),
"Parallel random numbers: as easy as 1, 2, 3", SC11. A draw therefore depends on the key, the replicate and its position in the
stream only: neither on the number of threads nor on which replicates are drawn together.

Counts are uint8 of shape ``(patients, LANES)``: one patient's counts in 64 replicates fill one cache line, so that a pass over
images works on 64 replicates at once. A count above 255 would need one patient drawn 256 times in as many draws as there
are patients, which has a probability below 1e-500.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from xrbench.statistics.resampling.numba_jit import compiled
from xrbench.statistics.resampling.replicates import LANES

MANY = 1 << 20
"""Patients above which replicates are drawn ``FEW`` at a time, so that their histogram stays small beside the counts."""
FEW = 16
CACHE_BYTES = 64 * 2**20
"""Bytes of counts that are cached for the next label or model over the same patients."""
BUFFER = 2048
"""Random numbers that are made at a time: 8 KiB, which stay in the first-level cache."""

# Multipliers and Weyl constants of Philox4x32 (Salmon et al. 2011, section 3.3).
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@compiled
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Turn a counter of four words and a key of two, all 32 bits held in uint64, into four random words of 32 bits."""
    for _ in range(10):
        high, low = _M0 * c0, _M1 * c2
        c0 = (low >> _HALF) ^ c1 ^ k0
        c2 = (high >> _HALF) ^ c3 ^ k1
        c1 = low & _LOW
        c3 = high & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@compiled
def _indices(buffer, first, replicate, key, bound):  # type: ignore[no-untyped-def]
    """Fill the buffer with whole numbers below ``bound`` from blocks ``first``, ``first + 1``, ... of a replicate's stream."""
    # Word times bound, shifted by 32 bits, is uniform below the bound up to bound / 2^32, and needs no division. The four words of
    # a block go to four quarters of the buffer, so that each is written in order and the loop can be vectorised.
    k0, k1 = key & _LOW, key >> _HALF
    zero = np.uint64(0)
    quarter = len(buffer) // 4
    for block in range(quarter):
        x0, x1, x2, x3 = philox(np.uint64(first + block), zero, replicate, zero, k0, k1)
        buffer[block] = (x0 * bound) >> _HALF
        buffer[quarter + block] = (x1 * bound) >> _HALF
        buffer[2 * quarter + block] = (x2 * bound) >> _HALF
        buffer[3 * quarter + block] = (x3 * bound) >> _HALF


@compiled
def draw(histogram, first, key, edges):  # type: ignore[no-untyped-def]
    """Count draws with replacement for some replicates, in each stratum as many as it has patients.

    Args:
        histogram: Filled with the counts, uint8 of shape (replicates, patients); columns in the order of the strata.
        first: Number of the first replicate.
        key: 64 bits that name the stream.
        edges: Where the strata begin and end, shape (strata + 1,); ``[0, patients]`` is the plain bootstrap.
    """
    # One replicate after the other: its row of the histogram stays in the cache while random patients are counted in it.
    buffer = np.empty(BUFFER, np.uint32)
    histogram[:] = 0
    for lane in range(len(histogram)):
        row = histogram[lane]
        block = 0
        for stratum in range(len(edges) - 1):
            start, size = edges[stratum], edges[stratum + 1] - edges[stratum]
            done = 0
            while done < size:
                _indices(buffer, block, np.uint64(first + lane), key, np.uint64(size))
                block += BUFFER // 4
                # The rest of a buffer is thrown away: the stream's position then depends on the strata's sizes only.
                taken = min(BUFFER, size - done)
                for i in range(taken):
                    row[start + buffer[i]] += 1
                done += taken


@compiled
def _swap(block, apart, shift, mask):  # type: ignore[no-untyped-def]
    """Exchange the bytes under ``mask << shift`` in each word with those under ``mask`` in the word ``apart`` rows below."""
    for i in range(8):
        if not i & apart:
            moved = ((block[i] >> shift) ^ block[i + apart]) & mask
            block[i] ^= moved << shift
            block[i + apart] ^= moved


@compiled
def transpose(words, order, counts, first):  # type: ignore[no-untyped-def]
    """Transpose counts, 8 patients of 8 replicates at a time: ``counts[order[j], first + lane] = histogram[lane, j]``.

    Three rounds exchange blocks of 4, 2 and 1 bytes of an 8 x 8 matrix, as in Warren (2012), Hacker's Delight, 7-3.

    Args:
        words: The histogram as uint64 (little-endian), shape (replicates, patients / 8 rounded up).
        order: Patient number of each column, shape (patients,).
        counts: Filled, as uint64, shape (patients, LANES / 8).
        first: Lane of the histogram's first row.
    """
    patients = len(order)
    block = np.empty(8, np.uint64)
    for column in range(words.shape[1]):
        start = 8 * column
        for top in range(0, len(words), 8):
            for i in range(8):
                block[i] = words[top + i, column]
            _swap(block, 4, np.uint64(32), np.uint64(0x00000000FFFFFFFF))
            _swap(block, 2, np.uint64(16), np.uint64(0x0000FFFF0000FFFF))
            _swap(block, 1, np.uint64(8), np.uint64(0x00FF00FF00FF00FF))
            for j in range(min(8, patients - start)):
                counts[order[start + j], (first + top) // 8] = block[j]


class Strata:
    """Patients in the order of their strata.

    Attributes:
        order: Patient numbers, stratum after stratum, shape (patients,).
        edges: Where each stratum begins and ends in ``order``, shape (strata + 1,).
    """

    def __init__(self, stratum: npt.NDArray[np.int64]) -> None:
        # Draws within a stratum are numbers below its size: its patients have to be neighbours.
        self.order = np.argsort(stratum, kind="stable")
        self.edges = np.concatenate([[0], np.cumsum(np.unique(stratum, return_counts=True)[1])]).astype(np.int64)


class Bootstrap:
    """The patients' counts in the replicates of one key, 64 at a time.

    Args:
        patients: How many there are.
        key: 64 bits that name the stream.
        stratum: Number of each patient's stratum, shape (patients,); None draws from all of them together.
    """

    def __init__(self, patients: int, key: int, stratum: npt.NDArray[np.int64] | None = None) -> None:
        self.patients = patients
        self._key = np.uint64(key & 0xFFFFFFFFFFFFFFFF)
        self._plain = stratum is None
        self._strata = Strata(np.zeros(patients, np.int64) if stratum is None else stratum)

    def counts(self, first: int) -> npt.NDArray[np.uint8]:
        """Count each patient in replicates ``first`` to ``first + 63``, shape (patients, 64); the caller must not write to it."""
        if not self._plain:
            return self._draw(first)
        name = (self.patients, int(self._key), first)
        cached = _cache.get(name)
        return cached if cached is not None else _cache.add(name, self._draw(first))

    def _draw(self, first: int) -> npt.NDArray[np.uint8]:
        # Eight patients' counts of a replicate are one word; the columns behind the last patient are not read.
        together = LANES if self.patients <= MANY else FEW
        words = np.empty((together, -(-self.patients // 8)), "<u8")
        counts = np.empty((self.patients, LANES // 8), "<u8")
        for lane in range(0, LANES, together):
            draw(words.view(np.uint8), first + lane, self._key, self._strata.edges)
            transpose(words, self._strata.order, counts, lane)
        return counts.view(np.uint8)


class _CountsCache:
    """The latest counts, up to ``CACHE_BYTES``: drawn once, they serve all labels and models of the same patients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[int, int, int], npt.NDArray[np.uint8]] = {}

    def get(self, name: tuple[int, int, int]) -> npt.NDArray[np.uint8] | None:
        with self._lock:
            return self._counts.get(name)

    def add(self, name: tuple[int, int, int], counts: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        with self._lock:
            if not self._fits(counts):
                # Counts of other patients or another key are not asked for any more.
                self._counts = {other: array for other, array in self._counts.items() if other[:2] == name[:2]}
            if self._fits(counts):
                self._counts[name] = counts
        return counts

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()

    def _fits(self, counts: npt.NDArray[np.uint8]) -> bool:
        return counts.nbytes + sum(array.nbytes for array in self._counts.values()) <= CACHE_BYTES


_cache = _CountsCache()


def clear_cache() -> None:
    """Clear the cached counts, so that a measurement starts from nothing."""
    _cache.clear()


class FullSample:
    """Every patient once: the sample itself, in the form of a replicate."""

    def __init__(self, patients: int) -> None:
        self.patients = patients

    def counts(self, first: int) -> npt.NDArray[np.uint8]:  # noqa: ARG002
        """Return ones, shape (patients, 64)."""
        return np.ones((self.patients, LANES), np.uint8)


class Jackknife:
    """Every patient once, except those of one group: replicate ``g`` leaves out group ``g``.

    Args:
        group: Group of each patient, shape (patients,).
    """

    def __init__(self, group: npt.NDArray[np.int64]) -> None:
        self.patients, self._group = len(group), group

    def counts(self, first: int) -> npt.NDArray[np.uint8]:
        """Return 0 for the patients left out and 1 for all others, shape (patients, 64)."""
        present: npt.NDArray[np.bool_] = self._group[:, None] != np.arange(first, first + LANES)
        return present.view(np.uint8)
