"""Golden array names to plug-in calls, one module per family. No formula lives here, and no number of a single case."""
