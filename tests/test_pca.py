"""Principal components against scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from jaxdl.pca import pca_errors


def test_errors_for_all_sizes_at_once():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(60, 4)) @ rng.normal(size=(4, 16))).astype(np.float32)
    x += 0.3 * rng.normal(size=x.shape).astype(np.float32)
    known, unseen = x[:40], x[40:]
    errors = pca_errors(known, unseen, most=5)
    assert errors[0] == pytest.approx(np.square(unseen - known.mean(axis=0)).mean(), rel=1e-4)
    for components in range(1, 6):
        theirs = PCA(components).fit(known)
        copy = theirs.inverse_transform(theirs.transform(unseen))
        assert errors[components] == pytest.approx(np.square(unseen - copy).mean(), rel=1e-4)
    assert (np.diff(errors) < 0).all()
