"""A small instance with invented warnings about reserved numbers, to look at and to test with."""
