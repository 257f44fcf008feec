"""What tagship's pace is, beside its rivals and beside what no program of its kind can beat."""
