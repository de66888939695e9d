"""DICOM data sets as trees of keywords, and back."""
