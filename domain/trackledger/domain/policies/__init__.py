"""Which conclusions follow from what was said? Pure functions: no clock, no I/O; time enters as an argument."""
