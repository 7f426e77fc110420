"""Tasks: what a head's output means. One file a task; detection so far."""
