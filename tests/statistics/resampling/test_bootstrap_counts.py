from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from xrbench.statistics.resampling import bootstrap_counts

KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_the_stream_is_philox(counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]) -> None:
    """Known answers of Random123's own test suite for philox4x32, 10 rounds."""
    assert bootstrap_counts.philox(*(np.uint64(word) for word in (*counter, *key))) == words


@pytest.mark.parametrize("patients", [1, 2, 63, 700, 5000])
def test_every_replicate_draws_as_many_as_there_are(patients: int) -> None:
    counts = bootstrap_counts.Bootstrap(patients, key=3).counts(0)
    assert counts.shape == (patients, 64)
    assert (counts.astype(int).sum(axis=0) == patients).all()


def test_patients_are_drawn_evenly() -> None:
    patients = 500
    source = bootstrap_counts.Bootstrap(patients, key=11)
    counts = np.concatenate([source.counts(first) for first in range(0, 2048, 64)], axis=1).astype(int)
    assert stats.chisquare(counts.sum(axis=1)).pvalue > 1e-3
    seen = np.bincount(counts.ravel(), minlength=8)[:8] / counts.size
    assert seen == pytest.approx(stats.binom.pmf(np.arange(8), patients, 1 / patients), abs=2e-3)
    assert abs(np.corrcoef(counts[0], counts[1])[0, 1]) < 0.1


def test_replicates_do_not_depend_on_what_is_drawn_with_them() -> None:
    source = bootstrap_counts.Bootstrap(300, key=5)
    together = np.concatenate([source.counts(0), source.counts(64)], axis=1)
    assert np.array_equal(source.counts(17), together[:, 17 : 17 + 64])
    assert not np.array_equal(source.counts(0), bootstrap_counts.Bootstrap(300, key=6).counts(0))


@pytest.mark.parametrize("patients", [1, 7, 8, 9, 64, 65, 1000])
def test_counts_are_the_draws_laid_out_by_patient(patients: int) -> None:
    """Against the stream itself: Philox words in order, each turned into a patient by multiplication."""
    key, first, lanes = 77, 128, (0, 1, 7, 8, 63)
    counts = bootstrap_counts.Bootstrap(patients, key).counts(first)
    for lane in lanes:
        taken: list[int] = []
        block = 0
        while len(taken) < patients:
            words = [
                bootstrap_counts.philox(*map(np.uint64, (block + i, 0, first + lane, 0, key, 0))) for i in range(512)
            ]
            taken += [int(word) * patients >> 32 for part in zip(*words, strict=True) for word in part]
            block += 512
        assert np.array_equal(counts[:, lane], np.bincount(taken[:patients], minlength=patients))


def test_strata_keep_their_sizes() -> None:
    stratum = np.array([0, 1, 0, 2, 1, 0, 0, 2, 2, 2])
    counts = bootstrap_counts.Bootstrap(10, key=5, stratum=stratum).counts(0).astype(int)
    for number in range(3):
        assert (counts[stratum == number].sum(axis=0) == (stratum == number).sum()).all()
    assert counts.std() > 0


def test_jackknife_leaves_one_group_out() -> None:
    counts = bootstrap_counts.Jackknife(np.array([0, 1, 2, 0])).counts(0)
    assert counts[:, 0].tolist() == [0, 1, 1, 0]
    assert counts[:, 2].tolist() == [1, 1, 0, 1]
    assert counts[:, 5].tolist() == [1, 1, 1, 1]


def test_many_patients_are_drawn_a_few_replicates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_counts.Bootstrap(700, key=6).counts(64)
    bootstrap_counts.clear_cache()
    monkeypatch.setattr(bootstrap_counts, "MANY", 100)
    assert np.array_equal(bootstrap_counts.Bootstrap(700, key=6).counts(64), whole)


def test_counts_are_kept_for_the_next_label_or_model(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap_counts.clear_cache()
    first = bootstrap_counts.Bootstrap(500, key=1).counts(0)
    assert bootstrap_counts.Bootstrap(500, key=1).counts(0) is first
    assert bootstrap_counts.Bootstrap(500, key=2).counts(0) is not first
    bootstrap_counts.clear_cache()
    again = bootstrap_counts.Bootstrap(500, key=1).counts(0)
    assert again is not first
    assert np.array_equal(again, first)


def test_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap_counts.clear_cache()
    monkeypatch.setattr(bootstrap_counts, "CACHE_BYTES", 2 * 500 * 64)
    source = bootstrap_counts.Bootstrap(500, key=1)
    blocks = [source.counts(first) for first in (0, 64, 128)]
    assert source.counts(0) is blocks[0]
    assert source.counts(64) is blocks[1]
    third = source.counts(128)
    assert third is not blocks[2]
    assert np.array_equal(third, blocks[2])
    other = bootstrap_counts.Bootstrap(500, key=2).counts(0)
    assert bootstrap_counts.Bootstrap(500, key=2).counts(0) is other
    assert source.counts(0) is not blocks[0]
    bootstrap_counts.clear_cache()


def test_strata_are_never_taken_for_the_plain_draw() -> None:
    plain = bootstrap_counts.Bootstrap(90, key=4).counts(0)
    stratified = bootstrap_counts.Bootstrap(90, key=4, stratum=np.arange(90) % 2).counts(0)
    assert not np.array_equal(plain, stratified)
    assert (stratified[::2].sum(axis=0) == 45).all()
