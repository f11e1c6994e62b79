"""The stages of a run, one file each: what it needs, what it does, what it leaves in the run folder."""
