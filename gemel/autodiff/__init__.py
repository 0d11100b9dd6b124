"""Automatic differentiation: functions from graph to graph."""
