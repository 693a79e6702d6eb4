"""Networks: by name, with weights, heads and what of them learns."""
import sys

# timm imports wandb, if it is installed, for a function that nothing here calls: half a second, 20 MB. Whoever
# imports wandb later gets it.
if 'timm' not in sys.modules and 'wandb' not in sys.modules:
    sys.modules['wandb'] = None      # meanwhile, to import it is an ImportError
    try: import timm    # noqa: F401
    finally: del sys.modules['wandb']
