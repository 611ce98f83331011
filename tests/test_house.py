"""The rules of the house: imports run one way, and both packages named kernels can be installed."""

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "autotune": {"autotune", "engine", "workloads"},
    "engine": {"engine", "kernels"},
    "kernels": {"kernels"},
    "workloads": {"workloads"},
}


def imported_rooms(path: Path) -> set[str]:
    """The top-level names of ours that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names & ALLOWED.keys()


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_run_one_way(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): imported_rooms(path) - ALLOWED[room] for path in files}
    assert {path: rooms for path, rooms in wrong.items() if rooms} == {}


def test_only_autotune_knows_the_study_s_libraries():
    outside = [path for room in ("engine", "kernels", "workloads") for path in (ROOT / room).rglob("*.py")]
    for path in outside:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        assert not modules & {"hydra", "omegaconf", "optuna", "mlflow"}, path


def fake_hub_package(folder: Path) -> None:
    """Metadata and a module like those of the hub's `kernels`, in a version that transformers accepts."""
    info = folder / "kernels-0.18.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 0.18.5\n")
    package = folder / "kernels"
    package.mkdir()
    (package / "__init__.py").write_text(
        "class CUDAProperties: pass\nclass Device:\n    def __init__(self, *a, **k): pass\n"
        "class KernelizeFallback: pass\nclass LayerRepository:\n    def __init__(self, *a, **k): pass\n"
        "class LocalLayerRepository(LayerRepository): pass\nclass Mode:\n    INFERENCE = TRAINING = 0\n"
        "class ROCMProperties: pass\n"
        "def register_kernel_mapping(*a, **k): pass\ndef replace_kernel_forward_from_hub(*a, **k): pass\n"
        "def use_kernel_mapping(*a, **k): pass\ndef get_kernel(*a, **k): pass\ndef kernelize(m, *a, **k): return m\n"
        "def use_kernel_forward_from_hub(name): return lambda cls: cls\n"
        "def use_kernelized_func(name): return lambda cls: cls\n"
    )


@pytest.mark.parametrize("hub_package", [False, True], ids=["alone", "with the hub's package"])
@pytest.mark.parametrize(
    "code",
    [
        "import transformers; from transformers import LlamaForCausalLM, AutoTokenizer",
        "from engine.hub import load_transformers; t = load_transformers(); t.LlamaForCausalLM; t.AutoTokenizer",
    ],
    ids=["plain import", "through engine.hub"],
)
def test_transformers_imports_from_the_repository_root(tmp_path, hub_package, code):
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    if hub_package:
        fake_hub_package(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", code + "; import kernels; print(kernels.__file__)"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip().splitlines()[-1]) == ROOT / "kernels" / "__init__.py"


def test_metadata_alone_does_not_break_the_engine_s_import(tmp_path):
    info = tmp_path / "kernels-0.18.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 0.18.5\n")
    code = "from engine.hub import load_transformers; load_transformers().LlamaForCausalLM"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_kernels_package_imports_nothing():
    tree = ast.parse((ROOT / "kernels/__init__.py").read_text())
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def test_models_stay_small_enough_to_ship():
    total = sum(path.stat().st_size for path in (ROOT / "models").rglob("*") if path.is_file())
    assert total < 30 * 2**20


def test_test_files_have_names_of_their_own():
    """pytest imports them by file name: two of one name stop the whole suite, and only the whole suite."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
