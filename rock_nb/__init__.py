"""Notebook-first research repository for classifying photographs of rocks; the notebooks in `nbs/` are its source."""
__version__ = "0.1.0"

import os

# Threads that wait by spinning take the cores from the processes that load the photographs, which on few cores slows
# training down a lot. It must be said before torch is loaded for the first time.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
