"""How Jingluo is set up and tried. Stands above everything: it may import any package, none imports it."""
