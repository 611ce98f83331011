"""How deep drafts go, step by step: the cutoff and the schedule by batch size, a request's own wish, and adaptation."""

from engine.control.control import Control

__all__ = ["Control"]
