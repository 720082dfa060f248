"""Which models an agent is shown, and why the others are hidden."""
