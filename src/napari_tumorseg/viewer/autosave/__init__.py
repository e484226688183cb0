"""Journal of edits while masks are painted, and recovery after a crash."""
