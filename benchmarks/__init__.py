"""Speed claims: each prints its ceiling, its peers, and a machine-readable last line."""
