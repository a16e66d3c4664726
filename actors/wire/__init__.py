"""The bytes and values that cross the process border: frames, their cutting, codecs. Pure: no operating system."""
