"""What notebooks import: the lab, checks, widgets, progress, grading."""
