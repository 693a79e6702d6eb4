"""What every other room stands on; its rooms are one import: `from rock_nb.core import BadInput, rng, Run`."""
from .errors import *
from .paths import *
from .random import *
from .files import *
from .run import *
from .environment import *
from .process import *
from .options import *
from .notebook import *
from .command_line import *
from .progress import *
