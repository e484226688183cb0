"""Weighted logistic regression by Newton's method."""

from __future__ import annotations

import numpy as np

from napari_tumorseg.geometry import Array

_STEPS = 6
_MOST = 15.0
"""Largest log-odds during the fit: beyond it, a sample has no weight left."""


def fit_logistic(samples: Array, targets: Array, weights: Array, penalty: float = 1.0) -> Array:
    """Return the coefficients of a logistic regression with a quadratic penalty.

    Parameters
    ----------
    samples : (N, F) array of float
        A column of ones gives an intercept.
    targets : (N,) array
        0 or 1.
    weights : (N,) array
        Weight of each sample.
    penalty : float
        Weight of the squared coefficients.

    Returns
    -------
    (F,) array of float32
    """
    x = np.asarray(samples, dtype=np.float64)
    found = np.zeros(x.shape[1])
    ridge = penalty * np.eye(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ found, -_MOST, _MOST)))
        curvature = (x * (weights * p * (1 - p))[:, None]).T @ x + ridge
        found = found + np.linalg.solve(curvature, x.T @ (weights * (targets - p)) - penalty * found)
    return found.astype(np.float32)
