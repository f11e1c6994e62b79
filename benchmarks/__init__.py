"""Measurements with a bar. Every command takes `--json` and ends with exit code 1 when a gate is missed."""
