"""From text to objects. Knows nothing of the rest."""
