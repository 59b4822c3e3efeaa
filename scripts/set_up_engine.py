"""Make the engine's environment, or bring it up to date: python scripts/set_up_engine.py [--anew]

What Houdini's Set Up Engine runs. NEURON_ENV and NEURON_TORCH_INDEX count, and pip's own variables:
PIP_NO_INDEX=1 with PIP_FIND_LINKS=FOLDER takes everything from a folder of wheels.
"""

import shutil
import sys
from pathlib import Path

import _environment

ASK = (
    "import sys, torch, warp, mitsuba, numpy;"
    "gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no NVIDIA GPU';"
    "print(f'Python {sys.version.split()[0]}, torch {torch.__version__}, {gpu}')"
)


def forget(environment: Path) -> None:
    """Delete an environment of ours, so that it is made anew. Another folder is left alone."""
    if (environment / _environment.STAMP).is_file() and (environment / "pyvenv.cfg").is_file():
        _environment.say(f"Deleting {environment} ...")
        shutil.rmtree(environment)


def main() -> int:
    """Make it and say what it is; the exit code is not 0 if its libraries do not load."""
    if "--anew" in sys.argv[1:]:
        forget(_environment.environment_folder())
    python = _environment.ensure()
    print(f"The engine is in {python.parent.parent}", flush=True)
    return _environment.run([str(python), "-c", ASK])


if __name__ == "__main__":
    sys.exit(_environment.guarded(main))
