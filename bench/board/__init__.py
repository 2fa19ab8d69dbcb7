"""Cell results -> boards: statistics and tables over records. Never torch."""
