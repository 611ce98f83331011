"""Prompts in, Requests out. Knows nothing of engines, tokenizers or studies."""

from workloads.build import build
from workloads.errors import WorkloadError
from workloads.load import Load
from workloads.registry import available
from workloads.request import Example, Message, Request

__all__ = ["Example", "Load", "Message", "Request", "WorkloadError", "available", "build"]
