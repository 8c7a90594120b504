"""Pure functions from bytes to bytes: no clock, no framework; keys and chance are arguments."""
