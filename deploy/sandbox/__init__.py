"""A whole hospital on one laptop: parties with books of their own that can be told to misbehave."""
