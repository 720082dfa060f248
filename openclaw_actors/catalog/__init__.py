"""The model catalogue: built-in rows, config rows, and the `models.json` of the agents."""
