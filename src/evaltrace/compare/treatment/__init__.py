"""What is meant to differ, whether the trials had and used it, and every other tool."""
