"""The vocabulary: primitives (one record each) and composites in plain Python over nodes."""
