"""Triton kernels, each beside its plain-torch reference.

This file imports nothing at import time: Triton may only be imported where a GPU path is chosen. Hugging Face has a
package of the same name that transformers probes for. From the repository root this one is found first; a name that it
lacks is looked up in the other package, which then shares this module, so both can be installed.
"""


def __getattr__(name: str) -> object:
    if name.startswith("__") or not _adopt_namesake():
        raise AttributeError(f"module 'kernels' (spectune's) has no attribute {name!r}")
    return globals()[name]


def _adopt_namesake() -> bool:
    """Run the other package's __init__ in this module, once; False where it is not installed or was adopted before."""
    import sys
    from importlib.machinery import PathFinder
    from pathlib import Path

    here = Path(__file__).parent
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != here.parent]
    spec = PathFinder.find_spec("kernels", elsewhere)
    if (
        spec is None
        or spec.origin is None
        or spec.origin in globals().get("_ADOPTED", ())
        or Path(spec.origin).parent == here
    ):
        return False
    globals()["_ADOPTED"] = (spec.origin,)
    __path__.append(str(Path(spec.origin).parent))
    exec(compile(Path(spec.origin).read_text(), spec.origin, "exec"), globals())
    return True
