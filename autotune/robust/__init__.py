"""A choice that holds elsewhere: over several workloads, and where drafts are accepted less often than here."""
