"""`jingluo test`: channels, maps and tables played in memory, by the code that the engine runs."""
