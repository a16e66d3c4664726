"""Descriptors that are read and written: in the reader's and the output thread, or by the loop itself."""
