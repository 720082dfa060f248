"""One module per source of credentials: each judges the facts about one provider and returns candidates."""
