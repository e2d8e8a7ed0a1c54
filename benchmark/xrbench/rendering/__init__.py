"""Tables and numbers as text: Markdown, LaTeX, CSV, HTML and the terminal."""
