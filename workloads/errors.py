"""The one error of this package: its text is a single line with what is wrong and what is allowed."""


class WorkloadError(ValueError):
    """A workload that cannot be built as asked."""
