"""What every test runs under: checked shapes and types, no network, examples that repeat."""

import importlib.util
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.patience import limited

# Nothing may be fetched while testing, and a result must not depend on who runs it.
os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("COLUMNS", "FORCE_COLOR", "PYTHONWARNINGS"):
    os.environ.pop(name, None)

settings.register_profile("neuron", deadline=None, derandomize=True, max_examples=30, database=None)
settings.load_profile("neuron")


def _checked_modules() -> list[str]:
    """Every part of the engine but `kernels`: beartype refuses Warp's annotations."""
    package = importlib.util.find_spec("neuron_core")
    assert package is not None and package.origin is not None
    parts = pkgutil.iter_modules([str(Path(package.origin).parent)], "neuron_core.")
    return [part.name for part in parts if part.name not in ("neuron_core.kernels", "neuron_core.__main__")]


install_import_hook(_checked_modules(), "beartype.beartype")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A limit of work, not of time."""
    with limited():
        return (yield)
