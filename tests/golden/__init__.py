"""Numbers computed by the original authors' code, and what ours gives for the same inputs."""
