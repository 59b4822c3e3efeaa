"""A field of many materials: words that were never seen together, and the library that comes with Neuron."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import neuron_core
from neuron_core.assets import AssetError, read_header
from neuron_core.cameras.dome import turntable
from neuron_core.datasets.contract import View, read_encoded
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.progress import Silent
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.materials.grammar import combinations, material_of
from neuron_core.materials.grammar import find as find_look
from neuron_core.materials.library import read_library
from neuron_core.materials.principled import principled
from neuron_core.materials.wording import paraphrases
from neuron_core.models.field import presets, unrendered_records
from neuron_core.models.field.config import LIBRARY, TrainConfig
from neuron_core.models.field.family import FieldFamily
from neuron_core.models.field.model import Field
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.models.field.trained import PACKAGED, load_run
from neuron_core.prompts import load_encoder
from neuron_core.rendering.tracing import draw
from neuron_core.tasks.bake.config import BakeConfig
from neuron_core.tasks.bake.run import run as bake
from neuron_core.tasks.dataset.run import run as render_dataset
from neuron_core.tasks.train.run import run as train
from tests.core.field_runs import shortened


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small library dataset with combinations held out, and a run of the preset for ten minutes,
    cut to some steps, with and without prompts."""
    folder = tmp_path_factory.mktemp("library")
    config = DatasetConfig(
        folder / "dataset", materials="builtin:16+4@1", views=4, val_views=0, test_views=1, resolution=32,
        surface_views=12, spp=4, truth_db=20.0, truth_spp=16,
    )  # fmt: skip
    render_dataset(config, Silent())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unrendered_records, "combinations", lambda: combinations()[::16])
        patch.setattr(unrendered_records, "POINTS", 512)
        shape, look = presets.SURFACE["library-small"].phases
        small = presets.Recipe((shortened(shape, 120, 2048), shortened(look, 180, look.batch)))
        family = FieldFamily({"surface": {"library-small": small}})
        for name, encoder in (("run", "embedded"), ("blank", "blank")):
            wanted = TrainConfig(
                folder / "dataset", folder / name, preset="library-small", encoder=encoder, device="cpu",
                validate_every=0,
            )  # fmt: skip
            train(wanted, Silent(), family)
    return folder


def errors(folder: Path, run: str, split: str) -> np.ndarray:
    """Mean absolute errors of the pictures of a split, by material."""
    dataset = open_dataset(folder / "dataset")
    entries = [entry for entry in dataset.materials if entry.split == split and entry.supported]
    pictures = drawn(folder / run, dataset, [entry.prompt for entry in entries])
    camera = dataset.splits["test"][0]
    true = np.stack([read_encoded(dataset, View(camera, entry.name)) for entry in entries])
    return np.abs(pictures - true).mean(axis=(1, 2, 3))


def drawn(run: Path, dataset, prompts) -> np.ndarray:
    field, info = load_run(run)
    vectors = load_encoder(info.encoder["name"]).encode(prompts)
    camera = dataset.cameras[dataset.splits["test"][0]]
    return draw(FieldTracer(field, vectors), camera, 2).over_white()


@pytest.mark.slow
def test_prompts_are_worth_much_on_materials_that_were_trained(study):
    assert errors(study, "run", "train").mean() < 0.85 * errors(study, "blank", "train").mean()


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """True pictures of combinations that the library which comes with Neuron never saw nor read of."""
    hidden = sorted(read_library("builtin:240+150@1").held_out or ())
    looks = [look for look in map(find_look, hidden) if look is not None]
    opaque = [look.name for look in looks if not principled(material_of(look)).transmissive]
    config = DatasetConfig(
        tmp_path_factory.mktemp("strangers") / "dataset", materials=",".join(opaque[::16]), views=1,
        val_views=0, test_views=1, resolution=48, surface_views=0, spp=1, truth_db=28.0, truth_spp=32,
    )  # fmt: skip
    render_dataset(config, Silent())
    return open_dataset(config.out)


def test_the_library_draws_words_that_it_never_saw_together(strangers):
    """Far closer to the truth than what is common to all, and nearest to what was asked for."""
    names = [entry.name for entry in strangers.materials]
    known = {look.name for look in load_run(PACKAGED)[1].looks}
    assert len(names) >= 6 and not known & set(names)
    camera = strangers.splits["test"][0]
    true = np.stack([read_encoded(strangers, View(camera, name)) for name in names])
    shown = drawn(PACKAGED, strangers, [entry.prompt for entry in strangers.materials])
    apart = np.abs(shown[:, None] - true[None]).mean(axis=(2, 3, 4))
    common = np.abs(true - true.mean(axis=0)).mean()
    assert np.diag(apart).mean() < 0.5 * common
    assert (apart.argmin(axis=1) == np.arange(len(names))).mean() > 0.8


@pytest.mark.slow
def test_a_paraphrase_asks_for_the_same_picture(study):
    dataset = open_dataset(study / "dataset")
    names = [entry.name for entry in dataset.materials if entry.split == "compositional"]
    looks = [look for look in map(find_look, names) if look is not None]
    prompts = [dataset.material(look.name).prompt for look in looks]
    said = [paraphrases(material_of(look), 1, 0)[0] for look in looks]
    plain, other = drawn(study / "run", dataset, prompts), drawn(study / "run", dataset, said)
    moved = np.abs(plain - other).mean(axis=(1, 2, 3))
    apart = [np.abs(np.delete(plain, i, 0) - plain[i]).mean(axis=(1, 2, 3)).min() for i in range(len(plain))]
    assert np.median(moved / np.array(apart)) < 0.25


@pytest.mark.slow
def test_the_geometry_of_a_library_has_no_look(study):
    field, _ = load_run(study / "run")
    random = torch.Generator().manual_seed(0)
    points = torch.rand(20_000, 3, generator=random) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(20_000, 3, generator=random), dim=-1)
    vectors = torch.from_numpy(load_encoder().encode(["gold, polished", "oak wood, wet"]))
    with torch.no_grad():
        (one, first), (other, second) = (field.query(points, vector, directions) for vector in vectors)
    assert torch.equal(first, second) and not torch.equal(one, other)


def test_a_run_of_many_looks_is_not_baked_whole_without_being_asked(tmp_path):
    with pytest.raises(AssetError, match="240 looks") as caught:
        bake(BakeConfig(Path(LIBRARY), tmp_path / "all.neuron"), Silent())
    assert "--prompt" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_the_packaged_library_answers_prompts_that_nobody_rendered(tmp_path):
    prompts = ("gold, polished", "crimson velvet, worn", "white ceramic, glazed, dusty")
    wanted = BakeConfig(Path(LIBRARY), tmp_path / "ball.neuron", prompt=prompts, resolution=48)
    bake(wanted, Silent())
    manifest = read_header(tmp_path / "ball.neuron").manifest
    assert [look.prompt for look in manifest.looks] == list(prompts)
    field, info = load_run(Path(LIBRARY))
    low, high = np.array(info.aabb)
    distance = 4.0 * float(np.linalg.norm(high - low))
    camera = turntable(1, ((low + high) / 2).tolist(), distance, 15.0, width=64, height=64, focal_mm=120.0)[0]
    picture = draw(FieldTracer(field, load_encoder().encode(prompts)), camera, 2)
    rows = np.flatnonzero((picture.alphas > 0.99).any(axis=1))
    belly = rows[0] + len(rows) * 45 // 100  # below the opening, above the foot
    patch = picture.over_white()[:, belly - 2 : belly + 3, 28:36]
    gold, velvet, ceramic = patch.mean(axis=(1, 2))
    assert gold[0] > gold[2] + 0.1, "gold is yellow"
    assert velvet[0] > 1.3 * max(velvet[1], velvet[2]), "crimson is red"
    assert ceramic.min() > velvet.max() and np.ptp(ceramic) < 0.1, "white is bright and neutral"


def test_all_weights_of_the_package_are_light_and_safe():
    package = Path(neuron_core.__file__).parent
    sizes = [path.stat().st_size for path in package.rglob("*.safetensors")]
    assert len(sizes) >= 3 and sum(sizes) < 10_000_000
    assert not [path for path in package.rglob("*") if path.suffix in (".pt", ".pth", ".pkl", ".npy", ".bin")]
    assert (PACKAGED / "run.json").stat().st_size < 100_000


@pytest.mark.slow
def test_a_library_is_packed_from_a_run_and_read_back(study, tmp_path):
    script = Path(neuron_core.__file__).parents[1] / "scripts" / "pack_library.py"
    done = subprocess.run(
        [sys.executable, script, study / "run", "--out", tmp_path / "library"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (one, first), (other, second) = load_run(study / "run"), load_run(tmp_path / "library")
    assert isinstance(one, Field) and [look.prompt for look in first.looks] == [
        look.prompt for look in second.looks
    ]
    for (name, before), after in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-6, msg=name)
