"""Real spherical harmonics up to degree 3, in the order and with the signs of splat files.

Letters in shapes: N splats, D directions, K harmonics (1, 4, 9 or 16). Directions have unit length
and point from the camera to the splat.
"""

import numpy as np

DEGREES = {1: 0, 4: 1, 9: 2, 16: 3}  # by K
CONSTANT = 0.28209479177387814  # the harmonic of degree 0


def terms_of(degree: int) -> int:
    """K, how many harmonics there are up to a degree."""
    return (degree + 1) ** 2


def basis(directions: np.ndarray, terms: int = 16) -> np.ndarray:
    """The first `terms` harmonics [..., K] of directions [..., 3], in their type."""
    x, y, z = (directions[..., axis] for axis in range(3))
    xx, yy, zz = x * x, y * y, z * z
    found = [np.full_like(x, CONSTANT)]
    if terms > 1:
        found += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if terms > 4:
        found += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
        ]
    if terms > 9:
        found += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    return np.stack(found, axis=-1)


def fibonacci_sphere(count: int) -> np.ndarray:
    """Evenly spread unit directions [D, 3]."""
    heights = 1 - (2 * np.arange(count) + 1) / count
    turns = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    radii = np.sqrt(1 - heights**2)
    return np.stack([radii * np.cos(turns), heights, radii * np.sin(turns)], axis=-1)


def rotation(matrix: np.ndarray, terms: int = 16) -> np.ndarray:
    """What turns the harmonics of data that is turned by `matrix` [3, 3]: new = result [K, K] @ old.

    Band by band: a turned color shows in the direction R d what it showed in d.
    """
    directions = fibonacci_sphere(64)
    before = basis(directions @ np.asarray(matrix, np.float64), terms)  # at R^-1 d
    after = basis(directions, terms)
    turned = np.zeros((terms, terms))
    for degree in range(DEGREES[terms] + 1):
        band = slice(degree**2, (degree + 1) ** 2)
        turned[band, band] = np.linalg.lstsq(after[:, band], before[:, band], rcond=None)[0]
    return turned


def colors(coefficients: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The colors [N, D, 3] of splats with `coefficients` [N, K, 3] in shared directions [D, 3]."""
    values = basis(np.asarray(directions, np.float32), coefficients.shape[1])
    seen: np.ndarray = 0.5 + np.einsum("dk,nkc->ndc", values, coefficients, optimize=True)
    return np.maximum(seen, 0.0)


def fit(
    directions: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    terms: int = 16,
    stiffness: float = 0.02,
) -> np.ndarray:
    """The coefficients [N, K, 3] whose colors are nearest to `seen` [N, D, 3] by least squares.

    `weights` [N, D] say how much each direction [D, 3] counts. `stiffness` keeps harmonics small,
    the more the higher their degree, where few directions tell what they are.
    """
    values = basis(np.asarray(directions, np.float64), terms)
    products = (values[:, :, None] * values[:, None, :]).reshape(len(values), -1)
    normal = (weights @ products).reshape(-1, terms, terms)
    degrees = np.sqrt(np.arange(terms)).astype(int)
    total = weights.sum(axis=1)
    normal += (
        (stiffness * degrees**2 + 1e-6) * np.eye(terms) * np.maximum(total, 1e-9)[:, None, None] / len(values)
    )
    wanted = values.T @ (weights[..., None] * (seen - 0.5))
    return np.linalg.solve(normal, wanted).astype(np.float32)
