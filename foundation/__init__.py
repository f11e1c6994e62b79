"""Errors, plug-in registry, strict configuration base and fingerprints: what every floor above stands on."""
