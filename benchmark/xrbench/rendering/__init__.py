"""Tables and numbers as text: one form for Markdown, LaTeX, CSV, HTML and the terminal."""
