"""In what the arms differ besides the treatment, graded by what it does to the conclusion."""
