"""Shared pieces of losses, named for what they are, so that no formula is written twice. Pure functions of tensors."""
