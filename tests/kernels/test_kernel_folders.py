"""What holds for every kernel: beside its reference, explained, known to torch, triton imported only where it runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
OPERATORS = sorted(path.parent.name for path in (ROOT / "kernels").glob("*/op.py"))


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_kernel_has_its_reference_and_its_derivation(name):
    folder = ROOT / "kernels" / name
    assert {"reference.py", "triton.py", "README.md"} <= {path.name for path in folder.iterdir()}
    assert "## Bound" in (folder / "README.md").read_text()
    assert len(ast.parse((folder / "__init__.py").read_text()).body) == 1


def test_only_files_named_triton_import_it():
    importing = {path.name for path in (ROOT / "kernels").rglob("*.py") if "triton" in imported(path)}
    assert {name for name in importing if not name.startswith("triton")} == set()


def test_operators_are_known_to_torch_without_triton():
    code = "; ".join(f"import kernels.{name}.op" for name in OPERATORS)
    code += "; import sys, torch; assert 'triton' not in sys.modules; print(*dir(torch.ops.spectune))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert set(OPERATORS) <= set(run.stdout.split())


def test_what_is_tested_here_runs_in_the_interpreter_or_on_a_gpu():
    import triton

    assert torch.cuda.is_available() or triton.knobs.runtime.interpret
