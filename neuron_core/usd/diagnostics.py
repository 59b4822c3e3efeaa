"""Keeps USD from printing what is told in other ways."""

from collections.abc import Iterator
from contextlib import contextmanager

from pxr import UsdUtils


@contextmanager
def quiet() -> Iterator[None]:
    """Drop USD's warnings meanwhile. Errors are still raised."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeUncoalescedDiagnostics()
        del delegate
