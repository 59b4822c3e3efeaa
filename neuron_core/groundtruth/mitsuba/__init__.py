"""Ground truth by Mitsuba 3."""
