"""Puts the folder that holds the package on Python's path. A module: only modules know where they are."""

import os
import sys

LIBRARIES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python3.11libs")
if LIBRARIES not in sys.path:
    sys.path.append(LIBRARIES)
