"""The machine: buffers, compiled libraries, the object cache, the thread team."""
