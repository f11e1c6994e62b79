"""What teachers know, and where it is kept: cards, backends, signals, the cache. No Ray here."""
