"""The kinds of scenarios: one module each; its first lines say what is inside of the clock and what is not."""
