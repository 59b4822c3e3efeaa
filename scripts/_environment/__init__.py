"""The environment that the engine runs in: made on first use, left alone when it is up to date.

Standard library only, and nothing newer than Python 3.7 until `setting_up.ensure` has looked at the
version: this is what runs before anything is installed. NEURON_ENV puts the environment into another
folder, NEURON_TORCH_INDEX names a package index with other builds of torch
(https://download.pytorch.org/whl/cpu has small ones without CUDA); it counts when torch is installed, so
delete the environment to change it.
"""

from .locking import LOCK
from .places import PROJECT, environment_folder, python_of
from .problems import EnvironmentProblem, guarded, say
from .processes import replace_by, run
from .setting_up import ensure
from .stamp import STAMP, installed_extras

__all__ = [
    "LOCK",
    "PROJECT",
    "STAMP",
    "EnvironmentProblem",
    "ensure",
    "environment_folder",
    "guarded",
    "installed_extras",
    "python_of",
    "replace_by",
    "run",
    "say",
]
