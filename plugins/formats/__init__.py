"""Dataset formats that several tasks read."""
