"""Triton kernels run in the interpreter where there is no GPU: the switch counts when triton is first imported."""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
