"""What writes and builds the documentation; no part of the daemon, which does not know it."""
