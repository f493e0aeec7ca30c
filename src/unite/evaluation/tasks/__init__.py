"""One file of facts for each benchmark."""
