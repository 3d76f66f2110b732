"""The effect in all its forms: overall, by group, at k attempts, with missing values otherwise."""
