"""From scores to the papers' tables, figures and pages."""
