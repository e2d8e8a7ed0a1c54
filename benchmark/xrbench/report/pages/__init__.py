"""Pages: of a run, a leaderboard, a reproduction.

A page of a run is a row of ``blocks.BLOCKS["page"]``: ``f(run)`` returns Markdown, which is written as ``NAME.md`` into the run folder.
"""
