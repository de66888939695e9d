"""The home of a message while it moves: one interface (`base`), two brokers."""
