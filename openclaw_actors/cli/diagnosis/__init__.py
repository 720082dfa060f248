"""What `doctor` looks at: one module per kind of sight, each a few pure functions from what was read to remarks."""
