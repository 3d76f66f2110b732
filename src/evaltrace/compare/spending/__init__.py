"""What was spent in both arms, in total, per task and per solved task, and why."""
