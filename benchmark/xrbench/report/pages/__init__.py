"""Pages: of a run, a leaderboard, a reproduction."""
