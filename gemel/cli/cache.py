"""`gemel cache`: shows or clears the compiled objects on disk.

Role: the command's face of `runtime/object_cache.py`. Input: the action. Output: lines on
standard output, and the exit status.
"""

from gemel.runtime import object_cache

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def command(options) -> int:
    """Entry of the command line."""
    if options.action == "clear":
        count = object_cache.clear()
        print(f"removed {count} {'object' if count == 1 else 'objects'}")
        return 0
    for name, value in rows():
        print(f"{name:10s} {value}")
    return 0


def rows() -> list[tuple[str, str]]:
    """What there is to say about the cache, as (name, value)."""
    stats = object_cache.stats()
    if stats["directory"] is None:
        return [("directory", "none (GEMEL_CACHE=off)")]
    return [
        ("directory", stats["directory"]),
        ("objects", str(stats["entries"])),
        ("size", f"{amount(stats['bytes'])} of at most {amount(stats['limit'])}"),
    ]


def amount(count: float) -> str:
    """A number of bytes for people: 1536 is '1.5 KiB'."""
    unit = 0
    while count >= 1024 and unit + 1 < len(UNITS):
        count /= 1024
        unit += 1
    return f"{count:.0f} {UNITS[unit]}" if unit == 0 else f"{count:.1f} {UNITS[unit]}"
