"""What a design can show, and which one would do."""
