"""Make the library that comes with Neuron from a run: `neuron bake library OUT.neuron --prompt TEXT`.

    python scripts/study_library.py FOLDER
    python scripts/pack_library.py FOLDER/run --out neuron_core/models/field/library

Tables of the hash encodings are kept as halves, everything else as it is; of the wordings only the first.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from neuron_core.foundation.files import replacing
from neuron_core.models.field.trained import FIELD, load_run, write_run


def main() -> None:
    """Read the run, write the library, say how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    field, info = load_run(arguments.run)
    tensors = {
        name: value.half() if name.endswith(".tables") else value
        for name, value in field.state_dict().items()
    }
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())
    looks = tuple(replace(look, prompts=()) for look in info.looks)
    config = {**info.config, "dataset": Path(str(info.config["dataset"])).name, "out": "library"}
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_run(arguments.out, replace(info, looks=looks, config=config))
    with replacing(arguments.out / FIELD) as path:
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}: {len(looks)} looks, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
