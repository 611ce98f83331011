"""The page of a multirun: which method for which workload, from the jobs' confirmed numbers."""
