"""`jingluo test`: channels and maps played in memory, by the code that the engine runs."""
