"""What drafting methods share: their view of the engine, how draft tokens are picked, and the draft loop."""
