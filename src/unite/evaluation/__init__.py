"""How well a model retrieves: tasks, scores, reports."""
