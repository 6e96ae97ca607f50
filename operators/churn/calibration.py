"""Online calibration: slope and shift of the log-odds (Platt, 1999), learnt from scores and their labels.

The labels are those of scores given a horizon ago. So calibration mends what stays wrong, such as a model
that is too sure of itself, but is a horizon late for what comes and goes, such as a season; there it can do
harm (Online Retail: AUC .743 with it, .750 without, as large an error). So it has to earn its place: it
is used while scores calibrated before their label was known had the smaller log loss.
"""

from __future__ import annotations

from math import exp, log1p

import msgspec

LOOSEST = 0.01  # variance of slope and shift before anything is known
MEMORY = 10_000  # labels over which the gain is averaged
WORTH = 0.01  # nats a label that it has to gain: what a calibration error of about .07 costs


class Platt(msgspec.Struct, array_like=True):
    """Two weights and their covariance, learnt by the same second-order steps as `RecursiveLogistic`.
    `gain`: how much smaller the log loss was with them."""

    slope: float = 1.0
    shift: float = 0.0
    a: float = LOOSEST
    b: float = 0.0
    c: float = LOOSEST
    gain: float = 0.0


def learn(platt: Platt, odds: float, label: bool) -> None:
    """`odds`: the uncalibrated log-odds of a score whose label is now known."""
    mended = platt.slope * odds + platt.shift
    platt.gain += (_loss(odds, label) - _loss(mended, label) - platt.gain) / MEMORY
    p = 1 / (1 + exp(-max(-30.0, min(30.0, mended))))
    certainty = p * (1 - p)
    first = platt.a * odds + platt.b
    second = platt.b * odds + platt.c
    scale = 1 / (1 + certainty * (odds * first + second))
    platt.a -= certainty * scale * first * first
    platt.b -= certainty * scale * first * second
    platt.c -= certainty * scale * second * second
    error = (1.0 if label else 0.0) - p
    platt.slope = max(0.2, min(5.0, platt.slope + scale * first * error))
    platt.shift += scale * second * error


def used(platt: Platt) -> tuple[float, float]:
    """Slope and shift to score with."""
    return (platt.slope, platt.shift) if platt.gain >= WORTH else (1.0, 0.0)


def _loss(odds: float, label: bool) -> float:
    odds = -odds if label else odds
    return log1p(exp(odds)) if odds < 30 else odds
