"""What can go wrong in the engine, told apart where it happens.

Every message says what is wrong, with the value, and what is allowed or what to do.
"""


class EngineError(Exception):
    """Base of everything the engine raises on purpose."""


class ConfigError(EngineError, ValueError):
    """The caller asked for something that cannot be: a wrong value, a missing file, an unsupported model."""


class OutOfMemoryError(EngineError, RuntimeError):
    """The configuration is legal but does not fit the memory of the device."""
