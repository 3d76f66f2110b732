"""Tasks whose outcome differs, and what their trials show of the reason."""
