"""Other designs that the benchmark compares with this service; they run in their own environment."""
