"""Validation on demand: what a message breaks of a standard's or a site's definition, place by place."""
