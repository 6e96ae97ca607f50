"""Figures of scores against labels, exact."""

from __future__ import annotations

import numpy as np


def auc(score: np.ndarray, label: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve; equal scores count half."""
    weights = np.ones(len(score)) if weights is None else weights
    _, back = np.unique(score, return_inverse=True)
    gone = np.bincount(back, weights * label)
    calm = np.bincount(back, weights * ~label)
    below = np.cumsum(calm) - calm
    return float(np.sum(gone * (below + calm / 2)) / (gone.sum() * calm.sum()))


def calibration_error(score: np.ndarray, label: np.ndarray) -> float:
    tenth = np.minimum((score * 10).astype(int), 9)
    return float(
        sum(
            abs(label[part].mean() - score[part].mean()) * part.mean()
            for part in (tenth == i for i in range(10))
            if part.any()
        )
    )
