"""A settlement's tests: its pipeline driven by the engine's own runner, over parties that do what the test says."""
