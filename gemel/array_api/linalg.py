"""`linalg`"""
