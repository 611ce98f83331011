"""How a trial ended, decided where it ended, and never read back from the text of an exception."""

from enum import StrEnum


class Status(StrEnum):
    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    PREDICTED = "predicted"  # not measured: the model says that it cannot win
    INVALID = "invalid"


class Cause(StrEnum):
    """Why a trial has no measurement to compare."""

    NONE = ""
    WORSE = "worse than the best so far"
    PREDICTED = "predicted to be worse than the best so far"
    OUT_OF_MEMORY = "out of memory"
    REFUSED = "refused by the engine"
    LOSSY = "not lossless"
    LIMITS = "limits not kept"
    CRASHED = "worker crashed"
    HUNG = "worker hung"
    LOST = "its workers were lost"
    UNMEASURED = "nothing to measure"
    DRIFTED = "the baseline drifted"
    UNFAIR = "one arm was held up"
    FOREIGN = "another process on the device"
    THROTTLED = "the device was throttled"
    MEMORY_HELD = "memory not back to its level"
