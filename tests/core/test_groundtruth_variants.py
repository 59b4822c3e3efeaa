"""Which variant of Mitsuba runs here."""

import pytest

from neuron_core.foundation.errors import NeuronError
from neuron_core.groundtruth.mitsuba import variants


class Listener:
    def __init__(self):
        self.warnings = []

    def progress(self, fraction, stage, message="", metrics=None):
        pass

    def warn(self, message):
        self.warnings.append(message)


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/x/libLLVM.so.19.1", (19, 1)),
        ("/x/libLLVM-15.so.1", (15, 1)),
        ("/usr/lib/llvm-18/lib/libLLVM.so", (18,)),
        ("C:/LLVM/bin/LLVM-C.dll", ()),
    ],
)
def test_versions_are_read_from_names(path, version):
    assert variants.library_version(path) == version


def test_a_library_that_does_not_work_means_scalar_with_a_hint(tmp_path, monkeypatch):
    broken = tmp_path / "libLLVM-99.so"
    broken.write_bytes(b"no library")
    monkeypatch.setenv(variants.LIBRARY_VARIABLE, str(broken))
    monkeypatch.setenv(variants.CACHE_VARIABLE, str(tmp_path / "cache"))
    listener = Listener()
    assert variants.choose_variant("auto", listener) == "scalar_rgb"
    assert variants.how_to_install() in listener.warnings[0]
    monkeypatch.setattr(variants, "_runs", None)  # the answer is remembered: nothing is tried again
    assert variants.choose_variant("auto", listener) == "scalar_rgb"
    assert len(listener.warnings) == 2


def test_a_variant_that_was_asked_for_and_does_not_run_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(variants.LIBRARY_VARIABLE, str(tmp_path / "libLLVM-15.so.1"))  # too old to be tried
    monkeypatch.setenv(variants.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(NeuronError, match="llvm does not run"):
        variants.choose_variant("llvm", Listener())


def test_scalar_needs_no_probe(monkeypatch):
    monkeypatch.setattr(variants, "_runs", None)
    assert variants.choose_variant("scalar", Listener()) == "scalar_rgb"
