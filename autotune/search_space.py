"""From the `search:` blocks of the methods and of the command line to the space of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autotune import schedule_dimension, tree_dimension
from autotune.dimension import Dimension, fix, named
from autotune.errors import UsageError, nearest
from autotune.method_dimension import MethodDimension
from autotune.schedule_dimension import parse_schedule
from autotune.search_block import parse
from autotune.settings import MethodSettings, Settings
from autotune.space import Searched, Space
from autotune.tree_dimension import parse_tree
from autotune.trees import FIELD, tree_of

ROOTS = ("method", "engine")
TOKENS, TREE = "method.num_speculative_tokens", f"method.{FIELD}"
SCHEDULE = "method.num_speculative_tokens_per_batch_size"
UNDER_LOAD = ("method.disable_by_batch_size", SCHEDULE)
WAYS = {
    "model": "drafts are searched with search.method.model={categorical: [FOLDER, org/name]}",
    "workload": "every workload has a best configuration of its own, so compare them with -m workload=a,b, "
    "or search for one that suits all with workload=[a,b]",
    "load": "every load has a best configuration of its own, so compare them with -m load.KEY=a,b",
}


@dataclass(frozen=True)
class Keys:
    """Keys of one method or of the engine: configured values and search blocks by path."""

    defaults: Mapping[str, Any]
    blocks: Mapping[str, Any]
    owner: str = ""


def space_of(settings: Settings) -> Space:
    """The methods' own search blocks, with the command line's on top; a choice between methods where there are
    several.
    """
    given = _given(settings.search)
    engine = Keys({f"engine.{key}": value for key, value in settings.engine.options.items()}, given["engine"])
    methods = [_keys(method, given["method"], bool(settings.methods)) for method in settings.all_methods]
    _refuse_unknown(given["method"], methods)
    spaces = {keys.owner: Space(_dimensions(keys, settings), keys.defaults) for keys in methods}
    common = Space(_dimensions(engine, settings), engine.defaults)
    if settings.methods:
        return Space((MethodDimension(spaces), *common.dimensions), common.defaults)
    (own,) = spaces.values()
    return Space((*own.dimensions, *common.dimensions), {**own.defaults, **common.defaults})


def described(settings: Settings) -> dict[str, Any]:
    """For the record: what was searched, as the names of methods, and what was left out because it lacks a draft."""
    names = [method.name for method in settings.all_methods]
    return {"searched": settings.method.name, "methods": names, "left_out": list(settings.left_out)}


def words(settings: Settings) -> str:
    """The methods in a sentence; empty where there is one."""
    if not settings.methods:
        return ""
    without = (
        f"; without {', '.join(settings.left_out)}, for which the model names no draft" if settings.left_out else ""
    )
    return f"methods: {', '.join(method.name for method in settings.methods)}{without}"


def _given(search: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The blocks of the command line by root and path; UsageError for a root that is not searched."""
    found: dict[str, dict[str, Any]] = {root: {} for root in ROOTS}
    for root, entries in search.items():
        if root not in ROOTS or not isinstance(entries, Mapping):
            way = WAYS.get(root, "allowed: search.method.KEY, search.engine.KEY")
            raise UsageError(f"search.{root} cannot be searched: it would change what is compared; {way}")
        found[root] = {f"{root}.{key}": block for key, block in entries.items()}
    return found


def _keys(method: MethodSettings, given: Mapping[str, Any], several: bool) -> Keys:
    """Where several methods are searched, the command line's blocks hold for those that have the key."""
    defaults = {f"method.{key}": value for key, value in (method.speculative_config or {}).items()}
    own = {f"method.{key}": block for key, block in method.search.items()}
    on_top = {path: block for path, block in given.items() if path in defaults or not several}
    return Keys(defaults, own | on_top, method.name if several else "")


def _refuse_unknown(given: Mapping[str, Any], methods: list[Keys]) -> None:
    for path in given:
        if not any(path in keys.blocks for keys in methods):
            raise _unknown(path, list(dict.fromkeys(key for keys in methods for key in keys.defaults)))


def _dimensions(keys: Keys, settings: Settings) -> tuple[Searched, ...]:
    """As written; but what refers to another dimension after that one, and a number of tokens within the tree or the
    schedule that decides when it is drawn.
    """
    blocks = {path: block for path, block in keys.blocks.items() if block is not None}
    for path in blocks:
        if path not in keys.defaults:
            raise _unknown(named(path, keys.owner), [named(key, keys.owner) for key in keys.defaults])
        if path in UNDER_LOAD and settings.load.kind == "single":
            raise UsageError(f"search of {path} has no effect with load=single, one request at a time; choose a load")
    _check_depth(keys, blocks)
    shaped = [path for path, block in blocks.items() if _shape(block)]
    if len(shaped) > 1:
        raise UsageError(f"{' and '.join(shaped)} both decide how much is drafted; search one of them")
    plain = {path: _plain(path, block, keys) for path, block in blocks.items() if path not in shaped}
    chain = plain.pop(TOKENS, None) if shaped else None
    structures = [_structure(path, blocks[path], chain, settings, keys.owner) for path in shaped]
    return (*structures, *_ordered(tuple(plain.values())))


def _check_depth(keys: Keys, blocks: Mapping[str, Any]) -> None:
    """A tree that is fixed has its depth."""
    tree = tree_of({FIELD: keys.defaults.get(TREE)}, {})
    if tree is not None and TOKENS in blocks and TREE not in blocks:
        raise UsageError(
            f"{named(TOKENS, keys.owner)} is searched, but {named(TREE, keys.owner)} says that drafts are "
            f"{max(tree.depths)} deep; keep it fixed with {fix(TOKENS, keys.owner)}"
        )


def _shape(block: object) -> str:
    """The kind of a structure, or nothing for a single knob."""
    shapes = (tree_dimension.KIND, schedule_dimension.KIND)
    return next((shape for shape in shapes if isinstance(block, Mapping) and shape in block), "")


def _structure(
    path: str, block: Mapping[str, Any], chain: Dimension | None, settings: Settings, owner: str
) -> Searched:
    shape = _shape(block)
    key = {tree_dimension.KIND: TREE, schedule_dimension.KIND: SCHEDULE}[shape]
    if path != key:
        raise UsageError(f"search of {path} is a {shape}; only {key} is searched like that")
    if shape == tree_dimension.KIND:
        return parse_tree(path, block, TOKENS, chain, owner)
    return parse_schedule(path, block, TOKENS, int(settings.engine.options.get("max_num_seqs") or 1), owner)


def _plain(path: str, block: object, keys: Keys) -> Dimension:
    dimension = replace(parse(path, block), owner=keys.owner)
    if dimension.plus is None:
        return dimension
    base = dimension.plus if "." in dimension.plus else f"{path.partition('.')[0]}.{dimension.plus}"
    if base not in keys.defaults or base == path:
        raise UsageError(
            f"search of {path} adds to {base}, which is no other key; {nearest(base, list(keys.defaults))}"
        )
    return replace(dimension, plus=base)


def _ordered(dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """A dimension with `plus` after the one it refers to, otherwise as written."""
    placed: list[Dimension] = []
    waiting = list(dimensions)
    while waiting:
        open_paths = {dimension.path for dimension in waiting}
        ready = [dimension for dimension in waiting if dimension.plus not in open_paths]
        if not ready:
            raise UsageError(
                f"search of {waiting[0].path} and {waiting[-1].path} refer to each other; one must stand alone"
            )
        placed.append(ready[0])
        waiting.remove(ready[0])
    return tuple(placed)


def _unknown(path: str, allowed: list[str]) -> UsageError:
    return UsageError(f"{path} is to be searched but is no key of the configuration; {nearest(path, allowed)}")
