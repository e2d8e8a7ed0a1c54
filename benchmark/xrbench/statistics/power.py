"""What difference could the data have shown?"""

from __future__ import annotations

from scipy import special


def smallest_detectable(error: float, *, power: float = 0.8, significance: float = 0.05) -> float:
    """Compute the smallest true difference that a two-sided z-test finds with the stated power.

    Args:
        error: Standard error of the difference, 0 or more.
        power: Chance of finding it, between 0 and 1.
        significance: Two-sided level of the test.

    Returns:
        ``(z[1 - significance / 2] + z[power]) * error``; Cohen (1988), ch. 2.

    >>> round(smallest_detectable(0.01), 4)  # (1.960 + 0.842) x 0.01
    0.028
    """
    return float(special.ndtri(1 - significance / 2) + special.ndtri(power)) * error
