"""transformers, imported in one place and without its probe for hub kernels.

Our folder `kernels/` has the import name of the package that the probe looks for. The engine never takes kernels from a
hub, so the answer to the probe is no, whatever is installed.
"""

import sys
from types import ModuleType


def load_transformers() -> ModuleType:
    """The transformers module; call it instead of importing transformers at the top of a file."""
    import transformers.utils
    from transformers.utils import import_utils

    if "transformers.integrations.hub_kernels" not in sys.modules:
        import_utils.is_kernels_available = transformers.utils.is_kernels_available = lambda *_, **__: False
    return transformers
