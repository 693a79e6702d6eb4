"""Networks: by name, with weights, heads and what of them learns."""
from ..core.lazy_import import without_modules as _without_modules

with _without_modules('wandb'): import timm as _timm    # before any room: see `core.lazy_import`   # noqa: F401
