"""The time, in any time zone of the IANA database."""

from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

TIMEOUT = 5.0


def clock(zone: str = "UTC") -> dict[str, str]:
    """Tell the current date and time in a time zone.

    Args:
        zone: IANA name of the time zone, such as "Europe/Paris"; a city that names a zone will do. Default: UTC.
    """
    return time_in(zone, datetime.now(UTC))


def time_in(zone: str, now: datetime) -> dict[str, str]:
    """The aware time `now` as told in `zone`. Raises ValueError, with the nearest names, for an unknown zone."""
    name, info = _find(zone)
    local = now.astimezone(info)
    offset = f"{local:%z}"
    return {
        "time": local.isoformat(timespec="seconds"),
        "weekday": f"{local:%A}",
        "zone": name,
        "utc_offset": f"{offset[:3]}:{offset[3:5]}",
    }


def _find(zone: str) -> tuple[str, tzinfo]:
    wanted = zone.strip().replace(" ", "_")
    if wanted.upper() in ("", "UTC", "Z", "GMT", "ETC/UTC"):
        return "UTC", UTC
    try:
        return wanted, ZoneInfo(wanted)
    except (KeyError, ValueError, OSError):  # OSError: a directory of the database, such as "Europe"
        pass
    by_name, by_city = _names()
    if not by_name:
        raise ValueError("This server has no time zone data: it knows only UTC.")
    found = by_name.get(wanted.lower()) or by_city.get(wanted.lower())
    if found is None:
        near = get_close_matches(wanted.lower(), [*by_name, *by_city], n=5, cutoff=0.6)
        names = dict.fromkeys(by_name.get(each) or by_city[each] for each in near)
        hint = f"Did you mean {', '.join(names)}?" if names else 'Use an IANA name such as "Europe/Paris".'
        raise ValueError(f"Unknown time zone {zone[:100]!r}. {hint}")
    return found, ZoneInfo(found)


@cache
def _names() -> tuple[dict[str, str], dict[str, str]]:
    """Zones by their name and by their city, in lower case. Of zones that share a city, the first by name."""
    zones = sorted(available_timezones())
    by_city = {name.rpartition("/")[2].lower(): name for name in reversed(zones) if "/" in name}
    return {name.lower(): name for name in zones}, by_city
