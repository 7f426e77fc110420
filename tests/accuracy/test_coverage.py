"""The intervals' promise, held on a thousand image sets drawn from a population whose figures are known."""

from __future__ import annotations

import pytest

from tests.accuracy import coverage

DRAWS = 1000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # five minutes on two idle cores


@pytest.fixture(scope="module")
def rows():
    return {(row["rival"], row["figure"]): row for row in coverage.simulate(DRAWS)}


@pytest.mark.parametrize("figure", coverage.FIGURES)
@pytest.mark.parametrize("rival", ["equal", "worse"])
def test_95_in_100_intervals_cover_the_true_difference(rows, rival, figure):
    assert 0.92 <= rows[rival, figure]["covered"] <= 0.98


@pytest.mark.parametrize("figure", coverage.FIGURES)
def test_equally_good_detectors_are_rarely_called_different(rows, figure):
    assert rows["equal", figure]["true_delta"] == 0
    assert rows["equal", figure]["called_different"] <= 0.07


def test_the_population_tells_a_worse_detector(rows):
    assert rows["worse", "map50_95"]["true_delta"] < -0.01
    assert rows["worse", "map50_95"]["called_different"] > 0.15
