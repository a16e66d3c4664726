"""Kinds of children beside actors and supervisors: tasks, functions, commands."""
