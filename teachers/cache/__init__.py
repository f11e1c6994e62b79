"""The label cache: one entry per teacher, raw labels in content-addressed Arrow shards, committed by generations."""
