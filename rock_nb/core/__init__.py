"""What every other room stands on; its rooms are one import: `from rock_nb.core import BadInput, rng, Run`."""
from .errors import *
from .paths import *
from .random import *
from .files import *
from .run import *
from .environment import *
from .options import *
from .notebook import *
from .command_line import *
from .progress import *
from .lazy_import import *
from ..speed.late_dynamo import stand_in as _stand_in

_stand_in()

# names that only other rooms import
from .command_line import (
    from_words as from_words, imports_follow as imports_follow, unheard as unheard)
from .environment import PACKAGES as PACKAGES, processor as processor
from .notebook import injected as injected, papermill_words as papermill_words
from .options import (
    TYPES as TYPES, as_type as as_type, as_types as as_types, listed as listed,
    document_options as document_options, old_names as old_names, options_of as options_of,
    whole as whole)
from .paths import test_folder as test_folder
from .process import (
    die_with_parent as die_with_parent, has_posix_locks as has_posix_locks,
    keep_memory as keep_memory, peak_rss as peak_rss, without_gc as without_gc)
from .random import py_rng as py_rng
from .run import (
    folder_name as folder_name, is_ensemble as is_ensemble, is_run as is_run,
    member_names as member_names, run_or_newest as run_or_newest, trained as trained)
from .terminal import announce as announce, sentence_last as sentence_last
