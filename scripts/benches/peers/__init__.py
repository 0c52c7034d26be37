"""Other designs that the benchmark measures beside this service; they run in an environment of their own."""
