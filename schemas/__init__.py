"""The shape of everything that crosses a border. Pure: no clock, no network, no database."""
